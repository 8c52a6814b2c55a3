# fiat:tpu with a folder of gin files and small data in the place where it runs: gke.sh builds it of FILES_DIR.
FROM fiat:tpu
COPY . /work

"""Rows of question answering, and files of them."""

import json


def write_jsonl(path, rows):
    """Writes rows, one a line, and gives the path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def example(id, language="hau", **fields):
    """A row of question answering."""
    return {
        "id": id,
        "language": language,
        "title": f"title of {id}",
        "context": f"the book {id} was written in 1958 by Chinua Achebe",
        "question": f"who wrote {id}?",
        "answer": "Chinua Achebe",
        **fields,
    }

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


NAMES = ("Ada", "Ben", "Chidi", "Dayo", "Efe", "Femi", "Gozi", "Hauwa", "Ife", "Jide")
THINGS = ("a red kite", "two drums", "old maps", "seven goats", "a tin roof")


def sale(n):
    """A row without an id, whose answer is a span of its passage."""
    thing = f"{THINGS[n % 5]} no. {n}"
    return {
        "question": f"What does {NAMES[n % 10]} sell, by list {n}?",
        "context": f"By list {n}, {NAMES[n % 10]} sells {thing}. It is in the yard.",
        "answer": thing,
    }


def as_csv(rows):
    """Rows as a table with quotes around each cell."""
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in cells)


def as_jsonl(rows):
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

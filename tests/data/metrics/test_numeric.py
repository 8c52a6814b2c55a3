from fractions import Fraction

import pytest

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.numeric import parse_number

EXPECTED = {
    "42": 42,
    "42.": 42,
    "The answer is 7 apples.": 7,
    "3 of 4 apples, so 12": 12,
    "3 + 4 = 7\n#### 42": 42,
    "#### 42 (not 43)": 42,
    "so it is 9 ####": 9,
    "####": None,
    "1,234,567": 1234567,
    "12,34,567": 1234567,
    "1.234.567,5": Fraction("1234567.5"),
    "1'234": 1234,
    "1\u202f234": 1234,
    "1,234.50": Fraction("1234.5"),
    "in 2019, 300 people": 300,
    "3,14": Fraction("3.14"),
    "0,500": Fraction(1, 2),
    "1.234": Fraction("1.234"),
    ".5": Fraction(1, 2),
    "3.5.2": 2,
    "$5": 5,
    "$ 1,000": 1000,
    "-$5": -5,
    "$-5": -5,
    "₹12,34,567": 1234567,
    "5 €": 5,
    "60%": 60,
    "5kg": 5,
    "-5": -5,
    "\u22125": -5,
    "x=-.5": Fraction(-1, 2),
    "10 - 3": 3,
    "3-5": 5,
    "COVID-19": 19,
    "3/4": Fraction(3, 4),
    "-3/4": Fraction(-3, 4),
    "1 1/2": Fraction(3, 2),
    "1½": Fraction(3, 2),
    "1/0": None,
    "1.5e3": 1500,
    "1e-2": Fraction(1, 100),
    "10²": 10,
    "১২৩": 123,
    "१,२३४": 1234,
    "౪౨": 42,
    "٤٢": 42,
    "\u0663\u066b\u0665": Fraction(7, 2),
    "\u0661\u066c\u0662\u0663\u0664": 1234,
    "５５": 55,  # noqa: RUF001
    "共42个": 42,
    "答案是-5": -5,
    "": None,
    "none": None,
    "?!": None,
    "No Answer": None,
    "7 * 6": 6,
    "__import__('os').system('exit')": None,
    "9" * 5000: None,
    "1e99999": 99999,
    "9 " * 5000 + "8": 8,
}


@pytest.mark.parametrize(("text", "number"), EXPECTED.items(), ids=[text[:20] for text in EXPECTED])
def test_the_number_that_a_text_gives(text, number):
    assert parse_number(text) == number


def test_a_number_is_right_however_it_is_written():
    targets = ["1234", ["3/4", "0.8"], "-5", "seven"]
    assert METRICS["numeric"](targets, ["It is $1,234.00.", "0.75", "#### 5", "7"]) == {"numeric": 50.0}
    assert METRICS["numeric"](["౪౨"], ["#### ४२"]) == {"numeric": 100.0}

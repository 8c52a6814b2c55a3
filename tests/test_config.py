from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kitchen import Kitchen, Oven, Recipe, Spice, Stove, Whisk

from fiat_jax.config import parse
from fiat_jax.config.files import SHIPPED
from fiat_jax.errors import ConfigError

pytestmark = pytest.mark.usefixtures("kitchen")

SOUP = ("Recipe.title=soup",)


@pytest.fixture
def gin_file(tmp_path):
    def write(text: str, name: str = "meal.gin") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def arguments(*bindings, command="cook", files=(), **options):
    return parse(command, files, bindings, **options).arguments


def refused(*bindings, command="cook", files=(), **options) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(command, files, bindings, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Values.


def test_a_file_and_flags_set_parameters_and_flags_win(gin_file):
    file = gin_file("Recipe.title = 'stew'\ncook.plates = 3\ncook.taste = 1\n")
    found = arguments("cook.plates=5", files=[file])
    assert found["kitchen"].recipe == Recipe("stew")
    assert (found["plates"], found["taste"]) == (5, 1.0)
    assert isinstance(found["taste"], float)


def test_a_later_file_wins_over_an_earlier_one(gin_file):
    files = [gin_file("Recipe.title = 'stew'\n", "a.gin"), gin_file("Recipe.title = 'soup'\n", "b.gin")]
    assert arguments(files=files)["kitchen"].recipe.title == "soup"


@pytest.mark.parametrize(
    "word",
    ["soup", "google/flan-t5-small", "/data/soup.jsonl", "1e-3x", "{question} pot", "a#b", "it's", "", "a b"],
)
def test_a_bare_word_on_the_command_line_is_a_string(word):
    assert arguments(f"Recipe.title={word}")["kitchen"].recipe.title == word


def test_a_literal_on_the_command_line_is_that_literal():
    recipe = arguments(*SOUP, "Recipe.minutes=1e1", "Recipe.yields=None", "Recipe.steps=['cut', 'boil']")[
        "kitchen"
    ].recipe
    assert recipe == Recipe("soup", minutes=10.0, yields=None, steps=("cut", "boil"))


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_text_on_the_command_line_is_read_or_refused_in_one_sentence(text):
    try:
        arguments(f"Recipe.title={text}")
    except ConfigError as error:
        assert str(error)


def test_a_macro_stands_for_its_value_and_takes_the_type_of_each_use(gin_file):
    file = gin_file("Recipe.title = 'soup'\nAMOUNT = 3\ncook.plates = %AMOUNT\ncook.taste = %AMOUNT\n")
    assert arguments(files=[file])["plates"] == 3
    found = arguments("AMOUNT=4", files=[file])
    assert (found["plates"], found["taste"]) == (4, 4.0)
    assert isinstance(found["taste"], float)


def test_scopes_make_two_of_one_setting():
    rack = arguments(
        *SOUP,
        "Kitchen.rack=[@hot/Spice(), @mild/Spice()]",
        "Spice.grams=2",
        "hot/Spice.name=chili",
        "mild/Spice.name=salt",
    )["kitchen"].rack
    assert rack == (Spice("chili", 2.0), Spice("salt", 2.0))


# Wiring.


def test_a_parameter_that_can_only_be_one_setting_is_wired():
    assert arguments(*SOUP)["kitchen"] == Kitchen(Recipe("soup"))


def test_a_default_setting_is_wired_too():
    kitchen = arguments(*SOUP, "Oven.degrees=220", "Whisk.wires=11")["kitchen"]
    assert (kitchen.place, kitchen.whisk) == (Oven(220), Whisk(11))


def test_a_users_reference_wins_over_the_wiring():
    kitchen = arguments(*SOUP, "Kitchen.place=@Stove()", "Stove.flames=6")["kitchen"]
    assert kitchen.place == Stove(6)


# Protocols.


def test_a_parameter_that_names_a_protocol_takes_each_setting_that_keeps_it():
    assert arguments("roast.heat=@Stove()", "Stove.flames=6", command="roast")["heat"] == Stove(6)
    given = arguments("roast.heat=@Oven()", "roast.spare=@Stove()", command="roast")
    assert given == {"heat": Oven(), "spare": Stove()}


@pytest.mark.parametrize("value", ["@Spice()", "hot", "None"])
def test_a_protocol_takes_nothing_else_and_says_what_it_takes(value):
    reason = refused(f"roast.heat={value}", command="roast")
    assert reason.startswith("--gin.roast.heat: expected Oven | Stove for roast.heat, found ")


def test_a_protocol_that_is_required_or_not_used_says_what_to_write():
    assert refused(command="roast").startswith(
        "roast.heat is required and not set: expected Oven | Stove; give --gin.roast.heat=@Oven()"
    )
    reason = refused("roast.heat=@Oven()", "Stove.flames=6", command="roast")
    assert reason.endswith("nothing uses Stove; write roast.heat = @Stove().")


# What is refused.


def test_a_missing_parameter_says_how_to_set_it():
    assert refused().startswith(
        "Recipe.title is required and not set: expected str; give --gin.Recipe.title=..."
    )


@pytest.mark.parametrize(
    ("binding", "reason"),
    [
        (
            "Recpie.title=soup",
            "--gin.Recpie.title: 'Recpie' is not a setting or command; did you mean 'Recipe'",
        ),
        ("recipe.title=soup", "did you mean 'Recipe'?"),
        ("Recipe.titel=soup", "Recipe has no parameter 'titel'; did you mean 'title'?"),
        ("Kitchen.place=@Stvoe()", "@Stvoe() is not a setting; did you mean 'Stove'?"),
        ("Kitchen.place=@Stove", "expected @Stove(), found @Stove without its parentheses"),
        ("Kitchen.place=@Sto ve()", "--gin.Kitchen.place: expected gin such as"),
        ("Kitchen.place=@Spice()", "expected Oven | Stove for Kitchen.place, found @Spice()"),
        ("Kitchen.place=oven", "found 'oven' (str)"),
        ("cook.plates=2.5", "--gin.cook.plates: expected int for cook.plates, found 2.5 (float)"),
        ("cook.plates=many", "found 'many' (str)"),
        ("cook.plates=True", "found True (bool)"),
        ("Oven.fan=true", "expected bool for Oven.fan, found 'true' (str)"),
        ("Recipe.heat=mid", "expected 'low' | 'high' for Recipe.heat, found 'mid' (str)"),
        ("Recipe.title=2024", "expected str for Recipe.title, found 2024 (int)"),
        ("Recipe.steps=cut", "expected tuple[str, ...] for Recipe.steps"),
        ("Recipe.minutes=-1", "Recipe.minutes: expected 0 or more, found -1.0"),
        ("cook.plates=%MANY", "%MANY is not defined"),
        ("plates=3", "plates is defined, but nothing reads %plates; a parameter is written Name.plates"),
        ("Stove.flames=6", "Stove.flames is set, but nothing uses Stove; write Kitchen.place = @Stove()"),
        ("import os", "--gin.import os: expected gin such as"),
    ],
)
def test_a_wrong_binding_is_refused_with_what_to_do(binding, reason):
    assert reason in refused(*SOUP, binding)


def test_a_refusal_names_file_and_line(gin_file):
    file = gin_file("# A meal.\nRecipe.title = 'soup'\nRecipe:\n  heat = 'low'\n  minutes = 'many'\n")
    assert refused(files=[file]) == f"{file}:5: expected float for Recipe.minutes, found 'many' (str)."


@pytest.mark.parametrize(
    "text", ["Recipe.title = soup", "Recipe.title 3", "x = [1,\n", "x = 'a\n", "= 3", "\x00", "$"]
)
def test_a_file_that_is_not_gin_is_refused_by_name(gin_file, text):
    file = gin_file(text)
    assert refused(files=[file]).startswith(file)


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    (tmp_path / "meal.gin").write_bytes(b"Recipe.title = '\xff'\n")
    assert "meal.gin" in refused(files=[str(tmp_path / "meal.gin")])


def test_a_misspelt_macro_gets_the_one_that_is_read(gin_file):
    file = gin_file("cook.plates = %PLATES\nPLATES = 2\n")
    assert "nothing reads %PLATSE; did you mean 'PLATES'?" in refused(*SOUP, "PLATSE=3", files=[file])


def test_macros_in_a_circle_are_refused(gin_file):
    file = gin_file("A = %B\nB = %A\ncook.plates = %A\n")
    assert "is defined by itself" in refused(*SOUP, files=[file])


def test_a_setting_that_a_flag_puts_aside_is_no_error_and_is_not_saved(gin_file):
    file = gin_file("Whisk.wires = 11\nSpice.grams = 3\nKitchen.spice = @Spice()\nSpice.name = 'dill'\n")
    found = parse("cook", [file], [*SOUP, "Kitchen.whisk=None", "Kitchen.spice=None"])
    assert (found.arguments["kitchen"].whisk, found.arguments["kitchen"].spice) == (None, None)
    assert "Whisk." not in found.text
    assert parse("cook", [gin_file(found.text, "again.gin")]) == found


def test_setting_what_was_put_aside_before_is_refused(gin_file):
    file = gin_file("Kitchen.whisk = None\n")
    reason = refused(*SOUP, "Whisk.wires=11", files=[file])
    assert "nothing uses Whisk; write Kitchen.whisk = @Whisk()" in reason


def test_an_import_in_a_gin_file_is_refused_and_runs_nothing(gin_file, tmp_path):
    file = gin_file("import my_tasks\n")
    assert "give --module my_tasks on the command line" in refused(files=[file])
    assert "give --module my.tasks" in refused(files=[gin_file("from my import tasks\n")])


# Files.


def test_includes_are_found_beside_the_file_in_the_search_paths_and_among_the_shipped(
    gin_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fiat_jax.config.files.SHIPPED", tmp_path / "shipped")
    gin_file("Recipe.title = 'soup'\n", "mine/soup.gin")
    gin_file("cook.plates = 7\n", "elsewhere/plates.gin")
    gin_file("cook.taste = 0.25\n", "shipped/taste/strong.gin")
    gin_file("include 'soup.gin'\ninclude 'plates.gin'\ninclude 'taste/strong.gin'\n", "mine/meal.gin")
    found = arguments(files=["mine/meal.gin"], search_paths=["elsewhere"])
    assert (found["kitchen"].recipe.title, found["plates"], found["taste"]) == ("soup", 7, 0.25)


def test_includes_go_two_deep_and_no_deeper(gin_file):
    gin_file("Recipe.title = 'soup'\n", "c.gin")
    b = gin_file("include 'c.gin'\n", "b.gin")
    a = gin_file("include 'b.gin'\n", "a.gin")
    assert arguments(files=[a])
    deeper = refused(files=[gin_file("include 'a.gin'\n", "top.gin")])
    assert deeper.startswith(f"{b}:1: expected includes at most 2 deep")


def test_a_file_that_includes_itself_is_refused(gin_file):
    assert "at most 2 deep" in refused(files=[gin_file("include 'meal.gin'\n")])


def test_a_file_that_is_not_there_gets_a_suggestion(tmp_path, monkeypatch):
    monkeypatch.setattr("fiat_jax.config.files.SHIPPED", tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "soup.gin").touch()
    assert "did you mean 'runs/soup.gin'?" in refused(files=["runs/suop.gin"])


def test_the_shipped_files_are_there():
    assert list(SHIPPED.rglob("*.gin"))


# As really used.


def test_the_saved_text_gives_the_same_configuration_and_the_same_text_again(gin_file, tmp_path):
    file = gin_file(
        "Recipe:\n  title = 'a\\n\\'long\\' one ' \\\n    'of two lines'\n"
        "  steps = ['cut', 'boil']\n  notes = {'salt': 1}\n"
        "Kitchen.place = @Stove()\nKitchen.rack = (@hot/Spice(), @Spice())\nhot/Spice.grams = 1e-5\n"
        "N = 4\ncook.plates = %N\ndine.tables = 3\n"
    )
    first = parse("cook", [file])
    first.save(tmp_path / "config.gin")
    again = parse("cook", [str(tmp_path / "config.gin")])
    assert again == first
    served = parse("dine", [str(tmp_path / "config.gin")]).arguments
    assert served["kitchen"] == first.arguments["kitchen"]
    assert served["tables"] == 3


def test_the_saved_text_holds_defaults_so_that_a_new_default_does_not_change_an_old_run():
    text = parse("cook", bindings=SOUP).text
    for line in (
        "cook.kitchen = @Kitchen()",
        "cook.plates = 2",
        "Oven.degrees = 180",
        "Recipe.minutes = 30.0",
    ):
        assert line in text.splitlines()


def test_the_settings_of_another_command_may_stand_in_a_shared_file(gin_file):
    file = gin_file("Recipe.title = 'soup'\nbake.plates = 3\nOven.degrees = 200\nKitchen.place = @Stove()\n")
    assert arguments(files=[file], command="dine")["kitchen"].place == Stove()
    assert arguments(files=[file], command="bake") == {"oven": Oven(200), "plates": 3}


def test_the_settings_of_another_command_are_checked_too():
    assert "dine has no parameter 'tabels'; did you mean 'tables'?" in refused(*SOUP, "dine.tabels=3")


def test_two_configurations_do_not_leak_into_each_other():
    assert arguments(*SOUP, "cook.plates=9")["plates"] == 9
    assert arguments(*SOUP)["plates"] == 2


def test_running_a_configuration_calls_the_command():
    assert parse("cook", bindings=(*SOUP, "cook.plates=9")).run()["plates"] == 9


@given(
    st.fixed_dictionaries(
        {
            "Recipe.title": st.text(),
            "Recipe.minutes": st.floats(0, allow_infinity=False),
            "Recipe.steps": st.lists(st.text()),
            "Recipe.yields": st.none() | st.integers(),
            "Recipe.notes": st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
        }
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_any_values_survive_being_saved(tmp_path, values):
    first = parse("cook", bindings=[f"{name}={value!r}" for name, value in values.items()])
    path = Path(tmp_path, "config.gin")
    first.save(path)
    assert parse("cook", [str(path)]) == first

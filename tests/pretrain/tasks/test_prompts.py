"""Prompts, written out."""

from pretrain.tasks.prompts import answers, concluding, context
from pretrain.tasks.questions import Question

MILLS = Question("mills", "谁磨面", ("风", "水", "磨坊", "驴"), 2)
SUM = Question("mills", "一加一", ("一", "二", "三", "四"), 1)
ARC = Question("arc", "Question: What grinds?\n", ("a mill", "a hill"), 0)


def test_letters_are_asked_as_in_c_eval() -> None:
    assert context("letters", SUM, [MILLS]) == (
        "以下是关于mills的单项选择题，请选出其中的正确答案。\n\n"
        "谁磨面\nA. 风\nB. 水\nC. 磨坊\nD. 驴\n答案：C\n\n"
        "一加一\nA. 一\nB. 二\nC. 三\nD. 四\n答案："
    )
    assert answers("letters", SUM) == ["A", "B", "C", "D"]


def test_choices_and_words_follow_a_space() -> None:
    assert context("choices", ARC, []) == "Question: What grinds?\nAnswer:"
    shot = "Question: What grinds?\nAnswer: a mill\n\n"
    assert context("choices", ARC, [ARC]) == shot + "Question: What grinds?\nAnswer:"
    assert answers("choices", ARC) == [" a mill", " a hill"]
    word = Question("lambada", "The mill grinds the", ("grain",), 0)
    assert context("last_word", word, []) + answers("last_word", word)[0] == "The mill grinds the grain"


def test_an_answer_follows_the_thoughts() -> None:
    assert concluding("…答案：", " 一加一等于二。\n") == "…答案：让我们一步一步思考。一加一等于二。\n因此，正确答案是："

"""The tree against lexbor (by resiliparse), which builds the tree of the standard, on pages made of random tags."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree, NodeType

from cleaners.extraction.html import attributes, nodes, tags
from cleaners.extraction.html.nodes import Tree, attribute_of
from cleaners.extraction.html.tree import parse

Shape = tuple[str, list[Any]] | str


def tree_of(page: str) -> tuple[bytes, Tree]:
    data = page.encode()
    return data, parse(np.frombuffer(data, np.uint8))


def name_of(tag: int) -> str:
    return tags.NAMES[tag - tags.UNKNOWN - 1] if tag > tags.UNKNOWN else "unknown"


def our_shape(page: str) -> Shape:
    data, tree = tree_of(page)
    shapes: list[Any] = []
    for node in tree.nodes:
        if node["tag"] in (tags.TEXT, tags.VERBATIM):
            shape: Any = " " * bool(node["flags"] & nodes.SPACE) + data[node["start"] : node["end"]].decode()
        else:
            shape = (name_of(node["tag"]), [])
        shapes.append(shape)
        if node["parent"] >= 0:
            shapes[node["parent"]][1].append(shape)
    return plain(shapes[0])


def their_shape(page: str) -> Shape:
    def shape_of(node: Any) -> Any:
        if node.type == NodeType.TEXT:
            return str(node.value)
        children = [shape_of(child) for child in node.child_nodes if child.type in (NodeType.TEXT, NodeType.ELEMENT)]
        return (str(node.tag) if str(node.tag) in tags.TAGS else "unknown", children)

    document = HTMLTree.parse(page).document
    return plain(shape_of(next(child for child in document.child_nodes if child.type == NodeType.ELEMENT)))


def plain(shape: Any) -> Any:
    """Join neighbouring texts, collapse white space, and drop blank texts."""
    if isinstance(shape, str):
        return shape
    children: list[Any] = []
    for child in shape[1]:
        if isinstance(child, str) and children and isinstance(children[-1], str):
            children[-1] += child
        else:
            children.append(plain(child))
    texts = [" ".join(child.split()) if isinstance(child, str) else child for child in children]
    return (shape[0], [child for child in texts if child])


text = st.sampled_from(["one", "two ", " three", "4", " "])
BLOCKS = "div section article blockquote ul main nav header".split()


def nested(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    inside = st.lists(children, max_size=4).map("".join)
    return st.one_of(
        st.builds("<{0}>{1}</{0}>".format, st.sampled_from([*BLOCKS, "x-y", "details", "figure"]), inside),
        st.builds("<p>{}</p>".format, text),
        st.builds("<h{0}>{1}</h{0}>".format, st.integers(1, 6), text),
        st.builds("<{0}>{1}</{0}>".format, st.sampled_from(["b", "i", "em", "span", "code", "a"]), text),
        st.builds("<table><tbody><tr><td>{}</td><th>{}</th></tr></tbody></table>".format, inside, inside),
        st.builds("<ul><li>{}</li><li>{}</li></ul>".format, inside, inside),
        st.sampled_from(
            ["<br>", "<img src=x>", "<hr/>", "<input>", "<!-- c -->", "<script>a<b</script>", "<style>x</style>"]
        ),
    )


@given(st.recursive(text, nested, max_leaves=12))
def test_a_well_formed_page_has_the_tree_of_the_standard(body: str) -> None:
    page = f"<!doctype html><html><head><title>T</title></head><body>{body}</body></html>"
    assert our_shape(page) == their_shape(page)


SOUP = "div p ul ol li dl dt dd h1 h2 span x-y section button form blockquote option nav".split()
soup = st.lists(
    st.one_of(text, st.sampled_from([f"<{tag}>" for tag in SOUP]), st.sampled_from([f"</{tag}>" for tag in SOUP])),
    max_size=25,
).map("".join)


@settings(max_examples=300)
@given(soup)
def test_tag_soup_without_formatting_has_the_tree_of_the_standard(body: str) -> None:
    page = f"<!doctype html>{body}"
    assert our_shape(page) == their_shape(page)


def words_and_links(page: str) -> list[tuple[str, bool, bool]]:
    """(text, whether in a link, whether bold) of each text of our tree."""
    data, tree = tree_of(page)
    return [
        (data[node["start"] : node["end"]].decode().strip(), node["link"] >= 0, bool(node["flags"] & nodes.BOLD))
        for node in tree.nodes
        if node["tag"] == tags.TEXT
    ]


def their_words_and_links(page: str) -> list[tuple[str, bool, bool]]:
    found = []

    def walk(node: Any, link: bool, bold: bool) -> None:
        if node.type == NodeType.TEXT and node.value.strip():
            found.append((node.value.strip(), link, bold))
        for child in node.child_nodes:
            walk(child, link or node.tag == "a", bold or node.tag in ("b", "strong"))

    walk(HTMLTree.parse(page).document, False, False)
    return found


INLINE = "a b i p div li strong".split()
inline_soup = st.lists(
    st.one_of(st.sampled_from([f"<{tag}>" for tag in INLINE]), st.sampled_from([f"</{tag}>" for tag in INLINE])),
    max_size=20,
).map(lambda parts: "".join(f"{part}{k}<!---->" for k, part in enumerate(parts)))


@settings(max_examples=300)
@given(inline_soup)
@example("<b>1<p>2</b>3")
@example("<a>1<div>2</a>3")
@example("<p><b>1<p>2")
def test_misnested_formatting_applies_to_the_same_texts_as_in_the_standard(body: str) -> None:
    page = f"<!doctype html>{body}"
    assert words_and_links(page) == their_words_and_links(page)


def outline(page: str) -> str:
    """The elements in the body as brackets, and their texts."""

    def written(shape: Any) -> str:
        return shape if isinstance(shape, str) else f"{shape[0]}[{' '.join(map(written, shape[1]))}]"

    return " ".join(map(written, our_shape(page)[1][1][1]))  # type: ignore[index]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>1<p>2", "p[1] p[2]"),
        ("<ul><li>1<li>2<ul><li>3</ul><li>4</ul>5", "ul[li[1] li[2 ul[li[3]]] li[4]] 5"),
        ("<dl><dt>1<dd>2<dt>3</dl>", "dl[dt[1] dd[2] dt[3]]"),
        ("<table><tr><td>1<td>2<tr><th>3</table>4", "table[tr[td[1] td[2]] tr[th[3]]] 4"),
        ("<table><tr><td><table><tr><td>1<td>2</table><td>3</table>", "table[tr[td[table[tr[td[1] td[2]]]] td[3]]]"),
        ("<table><caption>1<thead><tr><td>2<tbody><tr><td>3", "table[caption[1] thead[tr[td[2]]] tbody[tr[td[3]]]]"),
        ("<table><tr><table><tr><td>1", "table[tr[]] table[tr[td[1]]]"),
        ("<select><optgroup><option>1<option>2<optgroup><option>3</select>4",
         "select[optgroup[option[1] option[2]] optgroup[option[3]]] 4"),
        ("<select><option>1<input>2", "select[option[1]] input[] 2"),
        ("<select>1<select>2<select>3", "select[1] 2 select[3]"),
        ("<div>1<svg>2</div>3", "div[1 svg[2]] 3"),
        ("<div><svg><foreignobject>1</svg>2</div>3", "div[svg[foreignobject[1]] 2] 3"),
        ("<svg><desc>1</svg>2", "svg[desc[1]] 2"),
        ("<table>1<tr>2<td>3</td>4</table>5", "table[1 tr[2 td[3] 4]] 5"),
        ("<tr><td>1<td>2", "tr[td[1] td[2]]"),
        ("<frameset>1</frameset><p>2", "frameset[1 p[2]]"),
        ("<h1>1<h2>2</h1>3", "h1[1] h2[2] 3"),
        ("<p>1<div>2</div>3</p>4", "p[1] div[2] 3 p[] 4"),
        ("<p>1<button><p>2</button>3", "p[1 button[p[2]] 3]"),
        ("<a>1<a>2", "a[1] a[2]"),
        ("1</br>2</p>3", "1 br[] 2 p[] 3"),
        ("<div/>1</div>2<br/>3", "div[1] 2 br[] 3"),
        ("<image>1", "img[] 1"),
        ("<x-a>1<x-b>2</x-a>3", "unknown[1 unknown[2]] 3"),
        ("<svg><path/><title>1<i>2</title><style><b>3", "svg[unknown[] title[1 i[2]] style[]] b[3]"),
        ("<svg><![CDATA[1<b>]]></svg><![CDATA[2<b>]]>", "svg[1<b>] ]]>"),
        ("<textarea><b>1</textarea><xmp><b>2</xmp><plaintext><b>3", "textarea[<b>1] xmp[<b>2] plaintext[<b>3]"),
        ("0<noscript>1<div>2</noscript>3", "0 noscript[1 div[2]] 3"),
        ("<template><tr>1</template>2", "2"),
        ("<body class=x><i>1</i></body>2</html><i>3", "i[1] 2 i[3]"),
    ],
)  # fmt: skip
def test_page_has_the_outline(page: str, expected: str) -> None:
    assert outline(page) == expected


def test_an_empty_page_has_head_and_body() -> None:
    assert our_shape("") == ("html", [("head", []), ("body", [])])
    assert our_shape("<title>T</title><p>1") == ("html", [("head", [("title", ["T"])]), ("body", [("p", ["1"])])])


def value_of(page: str, node: int, name: str) -> str | None:
    data, tree = tree_of(page)
    at = attribute_of(tree, node, attributes.ATTRIBUTES[name])
    return None if at < 0 else data[tree.attributes[at]["start"] : tree.attributes[at]["end"]].decode()


def test_first_of_duplicate_attributes_and_attributes_of_a_late_body_are_kept() -> None:
    page = "<html lang=de><p CLASS='a b' class=c id=\"x\" hidden data-x=1 href=/q/>1<body class=late>"
    assert [value_of(page, 3, name) for name in ("class", "id", "hidden", "href", "src")] == [
        "a b",
        "x",
        "",
        "/q/",
        None,
    ]
    assert value_of(page, 0, "lang") == "de"
    assert value_of(page, 2, "class") == "late"


@pytest.mark.parametrize(
    ("attribute", "flags"),
    [
        ("hidden", nodes.HIDDEN),
        ("hidden=until-found", nodes.HIDDEN),
        ("style='color: red; DISPLAY : none !important'", nodes.HIDDEN),
        ("style=visibility:hidden", nodes.HIDDEN),
        ("style='display:block;x:none'", 0),
        ("style='background:url(display:none)'", 0),
        ("style='-x-display:none'", 0),
        ("aria-hidden=true", nodes.ARIA_HIDDEN),
        ("aria-hidden=false", 0),
        ("type=hidden", 0),
    ],
)
def test_a_hidden_element_hides_all_in_it(attribute: str, flags: int) -> None:
    _, tree = tree_of(f"<div {attribute}><p>1</div>2")
    kept = nodes.HIDDEN | nodes.ARIA_HIDDEN
    assert [int(node["flags"]) & kept for node in tree.nodes[3:]] == [flags, flags, flags, 0]


def test_elements_nest_at_most_512_deep() -> None:
    _, tree = tree_of("<div>" * 1000 + "1" + "</div>" * 1000 + "<p>2")
    depth = np.zeros(len(tree.nodes), int)
    for i, node in enumerate(tree.nodes[1:], 1):
        depth[i] = depth[node["parent"]] + 1
    assert depth.max() == 512
    assert depth[-1] == 3


def test_the_example_in_the_docstring_of_nodes_is_true() -> None:
    _, tree = tree_of("<p>One <b>two</b><p hidden>3")
    assert tree.nodes["parent"].tolist() == [-1, 0, 0, 2, 3, 3, 5, 2, 7]
    assert tree.nodes["after"].tolist() == [9, 2, 9, 7, 5, 7, 7, 9, 9]
    texts = [nodes.BREAK, nodes.BOLD, nodes.HIDDEN, nodes.BREAK | nodes.HIDDEN]
    assert tree.nodes["flags"][[4, 6, 7, 8]].tolist() == texts

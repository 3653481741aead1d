"""What the site has beyond the pages of this folder, for mkdocs; see mkdocs.yml.

* the API reference, a page for each sub-package with a public name, from the docstrings
* the notebooks and model cards, from where they lie in the repository
* all options of every command, below the table of docs/commands.md
* links: to a file that has no page, into the repository; from `keras_cpm.NAME` to the reference
"""

import inspect
import posixpath
import re
from collections import defaultdict
from pathlib import Path

import keras_cpm

ROOT = Path(__file__).parents[1]
# setup.py is the one place that knows where the project lives
REPOSITORY = re.search(r'^ *url="(.+?)"', (ROOT / "setup.py").read_text("utf-8"), re.M)[1]

_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.M | re.S)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
_CODE = re.compile(r"`[^`\n]+`")
_NAME = re.compile(r"(?<![\[`])`keras_cpm\.(\w+)(\([^`]*\))?`(?!\])")


def homes():
    """{sub-package: {public name: where it is defined}}, in the order of `keras_cpm`."""
    rooms = defaultdict(dict)
    for name, home in {**keras_cpm._HOME, **keras_cpm._MODULES}.items():
        path = f"keras_cpm.{home}"
        rooms[home.split(".")[0]][name] = path if name in keras_cpm._MODULES else f"{path}.{name}"
    return dict(rooms)


def contents():
    """The list of public names that ends docs/api/index.md."""
    return "\n\n".join(
        f"## [{room}]({room}.md)\n\n" + ", ".join(f"[`{name}`][{names[name]}]" for name in names)
        for room, names in homes().items()
    )


def reference():
    """{page: its text}: the API reference, a page a sub-package, which mkdocstrings fills."""
    block = "::: {}\n    options:\n      heading: {}\n      toc_label: {}\n"
    return {
        f"api/{room}.md": f"# {room}\n\n"
        + "\n".join(block.format(path, name, name) for name, path in names.items())
        for room, names in homes().items()
    }


def elsewhere():
    """{file of the repository: its page}: what is shown on the site and lies outside of docs/."""
    shown = {
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "saved_models/README.md": "models/index.md",
    }
    for card in sorted(ROOT.glob("saved_models/*/README.md")):
        shown[f"saved_models/{card.parent.name}/README.md"] = f"models/{card.parent.name}.md"
        for picture in card.parent.glob("*.png"):
            path = picture.relative_to(ROOT).as_posix()
            shown[path] = f"models/{card.parent.name}-{picture.name}"
    for book in sorted(ROOT.glob("notebooks/*.ipynb")):
        shown[f"notebooks/{book.name}"] = f"notebooks/{book.stem}.md"
    return shown


def page_of_notebook(path):
    """A stored notebook as a page: (Markdown, {name: bytes} of its pictures). It is not run."""
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_filename(str(path))
    pictures = {f"{path.stem}_{name}": data for name, data in resources["outputs"].items()}
    text = re.sub(r"!\[\w+\]\((\S+?)\)", rf"![Output of the cell above]({path.stem}_\1)", text)
    title, rest = text.lstrip().split("\n", 1)
    where = f"{REPOSITORY}/blob/main/notebooks/{path.name}"
    return (
        f"{title}\n\n*The notebook [{path.name}]({where}), with stored outputs.*\n{rest}",
        pictures,
    )


def options_of_commands():
    """Usage and options of every command, as Markdown."""
    import click

    from keras_cpm.cli.main import main

    # with the group's settings: click keeps the first help option that it makes of a command
    context, sections = click.Context(main, info_name="keras-cpm", **main.context_settings), []
    for name, command in main.commands.items():
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join(["keras-cpm", name, *command.collect_usage_pieces(inner)])
        sections += [f"## {name}", f"```text\n{usage}\n```", _help(command.help)]
        sections.append(_option_table(command, inner))
    return "\n\n".join(sections)


def _help(text):
    """The text of --help: what click would not wrap stays as it is."""
    blocks = (block.strip("\n") for block in inspect.cleandoc(text).split("\n\n"))
    return "\n\n".join(
        "```text\n" + block.removeprefix("\b\n") + "\n```" if block.startswith("\b") else block
        for block in blocks
    )


def _option_table(command, context):
    records = [option.get_help_record(context) or ("", "") for option in command.params]
    rows = [
        "| `{}` | {} |".format(*(cell.replace("|", r"\|") for cell in record))
        for record in records
        if record[1]
    ]
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def on_config(config):
    config.repo_url, config.repo_name = REPOSITORY, "Repository"
    return config


def on_files(files, config):
    from mkdocs.structure.files import File

    made = dict(reference())
    for path, page in elsewhere().items():
        if path.endswith(".ipynb"):
            made[page], pictures = page_of_notebook(ROOT / path)
            made |= {f"notebooks/{name}": data for name, data in pictures.items()}
        else:
            made[page] = (ROOT / path).read_bytes()
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    source = page.file.src_uri
    if source == "commands.md":
        markdown += "\n\n" + options_of_commands()
    elif source == "api/index.md":
        markdown += "\n\n" + contents()
    return outside_of_code(markdown, lambda text: linked(text, source))


def on_page_content(html, page, config, files):
    # what a function returns or raises has no name here before the dash
    return re.sub(r'(<li class="doc-section-item field-body">\s*)\N{EN DASH}', r"\1", html)


def outside_of_code(markdown, change):
    """`markdown` with `change` applied to all but its fenced code."""
    parts, last = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, change(markdown[last:])])


def linked(text, page):
    """Text of a page with its links those of the site, and names of the API turned into links."""
    shown = elsewhere()
    came_from = {site: path for path, site in shown.items()}.get(page, f"docs/{page}")

    def target(link):
        file, mark, anchor = link[1].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(came_from), file))
        if path in shown or path.startswith("docs/"):
            site = shown.get(path, path.removeprefix("docs/"))
            return posixpath.relpath(site, posixpath.dirname(page) or ".") + mark + anchor
        if (ROOT / path).exists():
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            return f"{REPOSITORY}/{kind}/main/{path}"
        return link[1]

    def name(code):
        path = next((names[code[1]] for names in homes().values() if code[1] in names), None)
        return f"[{code[0]}][{path}]" if path else code[0]

    # in a table GitHub wants a bar in code escaped, and Python-Markdown does not
    text = _CODE.sub(lambda code: code[0].replace(r"\|", "|"), _LINK.sub(target, text))
    return text if page.startswith("api/") else _NAME.sub(name, text)

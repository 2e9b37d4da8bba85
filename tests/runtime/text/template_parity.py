"""Renders published chat templates with Quern and with transformers' Jinja and lists every byte that differs.

usage: template_parity.py PROBE FOLDER...       needs: transformers, jinja2

PROBE is the program template_probe (`ninja -C build template_probe`). Every *.jinja under the folders is rendered, with
each of the conversations below: turns, system and developer messages, tools as JSON schemas, calls and their results,
thoughts, documents, content in parts, missing and null content, and each alone or with the variables that published
templates ask for. Errors must be errors in both. Published templates are their authors' and stay out of this tree:
what they taught is in make_template_goldens.py, in words of our own.
"""
import datetime
import glob
import itertools
import json
import os
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
from transformers.utils.chat_template_utils import _compile_jinja_template  # noqa: E402

NOW = datetime.datetime(2024, 7, 26, 14, 5, 9)


def function(name, description, properties, required=(), **extra):
    return {"type": "function", "function": {"name": name, "description": description, "parameters": {"type": "object", "properties": properties, "required": list(required)}, **extra}}


TOOLS = [
    function("get_weather", "Weather of a place.\nToday's & tomorrow's, <b>\u00b0C</b> \u2014 \"quoted\"", {
        "city": {"type": "string", "description": "The city's name, e.g. Zürich"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 14}}, ["city"], **{"return": {"type": "string", "description": "text"}}),
    function("search", "Looks for documents", {"query": {"type": "string", "description": "what"}, "filters": {"type": "object", "properties": {"from": {"type": "string", "format": "date"},
             "tags": {"type": "array", "items": {"type": "string"}}, "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}]}}, "additionalProperties": False}, "limit": {"type": "number", "default": 1.5}}, ["query", "filters"], strict=True),
    {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
user = lambda text: {"role": "user", "content": text}
bot = lambda text, **more: {"role": "assistant", "content": text, **more}
system = lambda text: {"role": "system", "content": text}


def call(name, arguments, identity="call00001", as_text=False):
    return {"type": "function", "id": identity, "function": {"name": name, "arguments": json.dumps(arguments) if as_text else arguments}}


def called(content, as_text, ids=True, name=False):
    calls = [call("get_weather", {"city": "Zürich", "days": 3, "unit": None}, "call00001", as_text), call("search", {"query": "a \"b\" <c> & 'd'", "filters": {"tags": ["x", "y"], "from": "2024-01-01", "n": 1.0}, "big": True}, "call00002", as_text)]
    results = [{"role": "tool", "tool_call_id": "call00001", "content": "{\"temperature\": 21.5}"}, {"role": "tool", "tool_call_id": "call00002", "content": "nothing é"}]
    if name:
        for result, one in zip(results, calls):
            result["name"] = one["function"]["name"]
    if not ids:
        for one in calls:
            del one["id"]
        for result in results:
            del result["tool_call_id"]
    return [user("How is the weather?"), bot(content, tool_calls=calls), *results]


CHATS = {
    "user": [user("Hello, wörld! <|im_start|> {{ x }} {% y %}")],
    "turns": [user("Hi"), bot("Hello!"), user(" How are\nyou? ")],
    "system": [system("Be brief.\n"), user("Hi"), bot(" Hello! "), user("Bye")],
    "ends": [user("Hi"), bot("Hello!")],
    "developer": [{"role": "developer", "content": "Obey."}, user("Hi")],
    "two systems": [system("One."), user("Hi"), system("Two."), user("Ho")],
    "only system": [system("Be brief.")],
    "thoughts": [user("1+1?"), bot("<think>\nEasy.\n</think>\n\n2"), user("and 2+2?"), bot("4", reasoning_content="Adding."), user("thanks")],
    "thinking": [user("1+1?"), bot("2", reasoning="Adding.", thinking="Adding"), user("and 2?")],
    "parts": [system([{"type": "text", "text": "Be brief."}]), user([{"type": "text", "text": "What is"}, {"type": "text", "text": " this?"}]), bot([{"type": "text", "text": "A cat."}]), user("ok")],
    "image": [user([{"type": "image"}, {"type": "text", "text": "What is this?"}])],
    "image url": [user([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "http://x/y.png"}}, {"type": "video"}, {"type": "audio"}])],
    "calls": called("", False), "calls none": called(None, False), "calls text": called("I look.", False), "calls as text": called("", True), "calls named": called("", False, name=True),
    "calls no ids": called("", False, ids=False),
    "one call": [user("Weather?"), bot(None, tool_calls=[call("get_weather", {"city": "Paris"})]), {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "sunny"}],
    "one call done": [system("Be kind."), user("Weather?"), bot("", tool_calls=[call("get_weather", {"city": "Paris"})], reasoning_content="Which?"), {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": {"sky": "sunny", "t": [1, 2.5]}}, bot("It is sunny."), user("Thanks")],
    "call missing content": [user("Weather?"), {"role": "assistant", "tool_calls": [call("now", {})]}, {"role": "tool", "name": "now", "content": "12"}, bot("noon")],
    "function result": [user("Weather?"), bot("", function_call={"name": "now", "arguments": "{}"}), {"role": "function", "name": "now", "content": "12"}],
    "empty": [], "no content": [{"role": "user"}], "null content": [user(None)], "odd role": [{"role": "critic", "content": "bad"}], "two users": [user("a"), user("b")], "bot first": [bot("Hello"), user("Hi")],
    "number": [user(5)], "white": [user("  \n x \t\n"), bot("\n y \n"), user("")], "prefix": [user("Count"), bot("One, two", prefix=True)],
}
TURNS = ["turns", "system", "calls", "one call done"]
EXTRAS = [
    ({}, CHATS),
    ({"tools": TOOLS}, ["user", "system", "turns", "calls", "calls none", "calls text", "calls as text", "calls named", "calls no ids", "one call", "one call done", "call missing content", "developer", "parts", "thoughts"]),
    ({"tools": []}, TURNS), ({"tools": TOOLS[2:]}, TURNS),
    ({"documents": [{"title": "T", "text": "Some text é."}, {"title": "U", "contents": "more"}, {"doc_id": 3, "title": "V", "content": "c", "snippet": "s"}]}, TURNS),
    ({"enable_thinking": False}, [*TURNS, "thoughts"]), ({"enable_thinking": True}, [*TURNS, "thoughts"]), ({"thinking": True}, [*TURNS, "thoughts"]), ({"thinking": False, "tools": TOOLS}, TURNS),
    ({"reasoning_effort": "high", "tools": TOOLS, "builtin_tools": ["browser", "python", "wolfram_alpha"], "model_identity": "You are X."}, TURNS),
    ({"date_string": "26 July 2024", "today": "2024-07-26", "custom_tools": TOOLS, "tools_in_user_message": False}, TURNS),
    ({"keep_past_thinking": True, "preserve_thinking": True, "clear_thinking": False, "add_vision_id": True, "thinking_budget": 512, "citations": True, "controls": ["length", "x"], "xml_tools": ["<x>"], "python_tools": ["f()"]}, [*TURNS, "thoughts"]),
    ({"tools": TOOLS, "documents": [{"title": "T", "text": "Some text."}], "safety_mode": "NONE", "citation_quality": "off", "available_tools": TOOLS, "functions": [t["function"] for t in TOOLS], "datetime": "now"}, TURNS),
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def want(compiled, messages, generate, extra):
    try:
        return {"text": compiled.render(messages=messages, **{"tools": None, "documents": None, "add_generation_prompt": generate, **TOKENS, **extra})}
    except Exception as error:  # whatever Jinja or Python says, it is an error
        return {"error": f"{type(error).__name__}: {error}"}


def shown(got, wanted):
    """Where the two part."""
    if "error" in got or "error" in wanted:
        return "\n    got    %s\n    wanted %s" % (json.dumps(got)[:300], json.dumps(wanted)[:300])
    at = next((i for i, (a, b) in enumerate(itertools.zip_longest(got["text"], wanted["text"])) if a != b), 0)
    return "\n    got    %r\n    wanted %r" % (got["text"][max(0, at - 30):at + 60], wanted["text"][max(0, at - 30):at + 60])


def main():
    probe = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    paths = sorted(p for folder in sys.argv[2:] for p in glob.glob(os.path.join(folder, "**", "*.jinja"), recursive=True))
    renderings = errors = 0
    failed = {}
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            source = file.read()
        try:
            compiled = _compile_jinja_template(source)
            compiled.globals["strftime_now"] = NOW.strftime
        except Exception as error:
            print("skipped, Jinja does not compile it:", path, error)
            continue
        for extra, names in EXTRAS:
            for name, generate in itertools.product(names, (True, False)):
                probe.stdin.write(json.dumps({"template": source, "messages": CHATS[name], "extra": extra, "generate": generate, "bos": TOKENS["bos_token"], "eos": TOKENS["eos_token"]}) + "\n")
                probe.stdin.flush()
                got = json.loads(probe.stdout.readline())
                wanted = want(compiled, json.loads(json.dumps(CHATS[name])), generate, json.loads(json.dumps(extra)))
                renderings += 1
                errors += "error" in wanted
                if ("error" in got) != ("error" in wanted) or got.get("text") != wanted.get("text"):
                    failed.setdefault(os.path.basename(path), []).append(f"  {name}, {', '.join(extra) or 'nothing more'}, {'prompt' if generate else 'no prompt'}" + shown(got, wanted))
    for path, cases in failed.items():
        print(path, len(cases), "differ")
        print("\n".join(cases[:3]))
    print(f"{len(paths)} templates, {renderings} renderings ({errors} of them errors), {sum(map(len, failed.values()))} differ in {len(failed)} templates")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""Makes data/templates.json: chat templates, what they are given, and what transformers renders.

usage: make_template_goldens.py           needs: jinja2, transformers

The templates are written for this test in the manner of the published ones (Llama 2 and 3, SmolLM2, Qwen 2.5 and 3,
Mistral, Gemma, Phi-3, Command R, DeepSeek, gpt-oss), with short ones for each part of the language. A case is
{"name", "family" or "template", "chat", "generate", "extra", and "output" or "error": true}. Outputs must be equal byte for
byte. strftime_now tells 2024-07-26 14:05:09.
"""
import datetime
import json
import os
import warnings

warnings.filterwarnings("ignore")
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = datetime.datetime(2024, 7, 26, 14, 5, 9)

SMOLLM2 = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set conversation = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set conversation = messages %}{% set system = false %}{% endif %}
{% for message in conversation %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must take turns: user, assistant, user, ...') }}{% endif %}
{% if loop.index0 == 0 and system != false %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set text = message['content'] %}{% endif %}
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}
{% endfor %}"""

LLAMA3 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The first system message is taken out, wherever its text goes. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "You may call these functions, as JSON:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One tool call at a time!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

QWEN25 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a helpful assistant.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN3 = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "user" or message.role == "system" %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("user and assistant must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs have nine characters!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported") }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"

PHI3 = "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{% generation %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"

COMMAND = """{%- macro type_of(spec) -%}
    {%- set names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"} -%}
    {%- if spec.type is string and spec.type in names -%}{{ names[spec.type] }}
    {%- elif spec.type == "array" -%}List[{{ type_of(spec.get("items", {"type": "any"})) }}]
    {%- else -%}{{ (spec.type or "any") | capitalize }}{%- endif -%}
{%- endmacro -%}
{%- macro document(doc, number=1, prefix="Document") %}
{{ prefix }}: {{ number }}
{% for key, value in doc.items() %}
{{ key|title }}: {{ value|string|trim }}
{% endfor %}
{%- endmacro %}
{%- for tool in tools or [] %}
def {{ tool.function.name }}({% for name, spec in tool.function.parameters.properties|items %}{{ name }}: {% if name not in tool.function.parameters.required|default([]) %}Optional[{{ type_of(spec) }}] = None{% else %}{{ type_of(spec) }}{% endif %}{% if not loop.last %}, {% endif %}{% endfor %}):
    '''{{ tool.function.description|indent(4) }}'''
{% endfor %}
{%- for doc in documents or [] %}{{ document(doc, loop.index, prefix="Result") }}{% endfor %}
{%- for message in messages %}
<|{{ message.role|upper }}|>{{ message.content if message.content is string else message.content|map(attribute="text")|join(" ") }}
{%- endfor %}"""

DEEPSEEK = "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, system_prompt='', is_first_sp=true) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and 'tool_calls' not in message %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"

HARMONY = """{%- macro render_type(spec, required=false) -%}
    {%- if spec.type == "array" -%}
        {{- render_type(spec["items"]) + "[]" }}
    {%- elif spec.type is iterable and spec.type is not string -%}
        {{- spec.type | join(" | ") }}
    {%- elif spec.type == "object" -%}
        {{- "{\\n" }}
        {%- for name, prop in spec.properties.items() -%}
            {{- name }}{{- "?" if name not in (spec.required or []) }}{{- ": " + render_type(prop) }}{{- "," if not loop.last }}{{- "\\n" }}
        {%- endfor -%}
        {{- "}" }}
    {%- elif spec.enum is defined -%}
        {{- '"' + spec.enum|join('" | "') + '"' }}
    {%- else -%}
        {{- spec.type }}
    {%- endif -%}
{%- endmacro -%}
{%- for tool in tools or [] %}
// {{ tool.function.description }}
type {{ tool.function.name }} = (_: {{ render_type(tool.function.parameters) }}) => any;
{% endfor %}
{%- set last = namespace(role=none) %}
{%- for message in messages -%}
    {%- if message.role not in ("user", "assistant", "system", "tool") -%}{% continue %}{%- endif -%}
    {%- if message.content is none %}{% break %}{% endif -%}
    <|start|>{{ message.role }}<|message|>{{ message.content }}{% if message.role == last.role %} (again){% endif %}<|end|>
    {%- set last.role = message.role %}
{%- else %}nothing
{%- endfor %}"""

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather <now> & \"later\"\nat a place.", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "e.g. Zürich"}, "days": {"type": "integer"}, "units": {"type": "string", "enum": ["C", "F"]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "sum_all", "description": "Adds.", "parameters": {
        "type": "object", "properties": {"values": {"type": "array", "items": {"type": "number"}}, "deep": {"type": ["string", "null"]}}}, "return": {"type": "number"}}},
]
CHAT = [{"role": "user", "content": "Hello, who are you?  "}, {"role": "assistant", "content": " I am <b>Quern</b> & \"it's\" fine.\n"}, {"role": "user", "content": "日本語で👍 \n"}]
SYSTEM = [{"role": "system", "content": "  Be brief.\n"}] + CHAT
THINK = SYSTEM[:2] + [{"role": "assistant", "content": "<think>\nhm, 1 < 2\n</think>\n\nYes."}, {"role": "user", "content": "Sure?"}]
CALLS = [{"role": "user", "content": "Weather?"},
         {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "f": 1.5, "n": None, "b": True}}}]},
         {"role": "tool", "content": "21.5 °C", "tool_call_id": "abcdefghi", "name": "get_weather"},
         {"role": "tool", "content": "sunny", "tool_call_id": "abcdefghi", "name": "get_weather"},
         {"role": "assistant", "content": "Warm."}]
WRONG = [{"role": "assistant", "content": "I begin"}, {"role": "assistant", "content": "again"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}, {"role": "developer", "content": "x"}]

FAMILIES = {"smollm2": SMOLLM2, "llama2": LLAMA2, "llama3": LLAMA3, "qwen25": QWEN25, "qwen3": QWEN3, "mistral": MISTRAL, "gemma": GEMMA,
            "phi3": PHI3, "command": COMMAND, "deepseek": DEEPSEEK, "harmony": HARMONY}

# One line each: what the language does, in Jinja's and Python's ways. `d`, `l`, `s`, ... are in EXTRA.
SNIPPETS = r"""
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 1 / 3 }} {{ 1e20 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.0 }} {{ 100000000.0 }} {{ 1.5e-10 }} {{ 3.14 }} {{ 12_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }}
{{ -2 ** 2 }} {{ (2 ** 3) ** 2 }} {{ 2 ** 3 ** 2 }} {{ - 3 | abs }} {{ -3.5 | abs }} {{ +3 }} {{ - -3 }}
{{ true }} {{ false }} {{ none }} {{ True }} {{ None }} {{ True + 1 }} {{ [true, none, 1.0, 'a'] }} {{ not true }} {{ not not 3 }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == (1, 2) }} {{ (1, 2) == [1, 2] }} {{ {} == {} }} {{ none == none }} {{ '1' == 1 }}
{{ 1 in [1, 2] }} {{ 3 not in [1, 2] }} {{ 'b' in 'abc' }} {{ 'a' in d }} {{ 'z' in d }} {{ not 1 in [2] }} {{ 'x' in nothing }}
{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ '' or [] or 0 }} {{ none or false }} {{ 1 if true else 2 }} {{ 1 if false else 2 }}[{{ 1 if false }}] {{ 'a' if x is defined else 'b' if s is defined else 'c' }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ nothing }} {{ 'a' 'b' "c" }} {{ 'x' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 + [3] }} {{ (1,) + (2, 3) }} {{ 'x' * -1 }}
{{ () }} {{ (1,) }} {{ (1, 'a') }} {{ [] }} {{ {} }} {{ {'a': 1, 2: 'b', none: [1]} }} {{ 1, 2 }} {{ {'a': 1, 'a': 2} }}
{{ "it's" }} {{ ["it's", 'say "hi"', 'both \' and "', 'back\\slash', 'tab\t nl\n cr\r', 'é日👍', '\x00\x7f\x85\u200b\xad'] }}
{{ 'a\tb\x41\u00e9\U0001f44d\101\q\
c' }}
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[:-1] }} {{ l[::2] }} {{ l[::-1] }} {{ l[3:0:-1] }} {{ l[-2:] }} {{ l[10:] }} {{ l[:10] }} {{ l[-10:2] }} {{ l[2:1] }} {{ l.0 }} {{ l.1 }} {{ l[99] }}!
{{ s[0] }} {{ s[-1] }} {{ s[1:3] }} {{ s[::-1] }} {{ s[:2] ~ s[2:] }} {{ s[5:1:-2] }} {{ s[99:] }}! {{ s[none:2] }}
{{ d.a }} {{ d['a'] }} {{ d.b.c }} {{ d['b']['c'] }} {{ d.missing }}! {{ d['missing'] }}! {{ d.get('a') }} {{ d.get('z') }} {{ d.get('z', 5) }} {{ d.items is callable }}{# method #}
{{ d.nothing.more }}
{{ nothing.x }}
{{ nothing }}! {{ nothing|length }} {{ nothing|default('d') }} {{ ''|default('d') }}! {{ ''|default('d', true) }} {{ none|d('n') }} {{ none|default('n', boolean=true) }} {{ 0|default(1, true) }} {{ nothing|d }}!
{{ nothing + 1 }}
{{ nothing < 1 }}
{{ nothing == nothing }} {{ nothing == none }} {{ nothing is undefined }} {{ nothing|upper }}! {{ nothing|trim }}! {{ nothing|list }} {{ nothing|string }}! {{ nothing|join }}! {{ nothing|first }}! {% for x in nothing %}x{% endfor %}
{{ nothing() }}
{{ nothing|tojson }}
{{ nothing|int }}
{{ 'a' + 1 }}
{{ [] + () }}
{{ 1 + none }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ s() }}
{{ 5.x }}
{{ d|nofilter }}
{{ d is notest }}
{{ x is defined }} {{ s is defined }} {{ x is not defined }} {{ s is undefined }} {{ none is none }} {{ s is none }} {{ s is string }} {{ 1 is string }} {{ 1 is number }} {{ true is number }} {{ 1.5 is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ 1 is boolean }}
{{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ 1 is sequence }} {{ l is iterable }} {{ s is iterable }} {{ d is iterable }} {{ 1 is iterable }} {{ nothing is iterable }} {{ nothing is sequence }} {{ none is iterable }}
{{ 3 is odd }} {{ 3 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 1 is gt(2) }} {{ 2 is ge 2 }} {{ 2 is le 1 }} {{ 1 is in [1, 2] }} {{ 'a' is in 'b' }} {{ none is sameas none }} {{ true is sameas true }} {{ 1 is sameas true }}
{{ true is true }} {{ 1 is true }} {{ false is false }} {{ 'a' is lower }} {{ 'A1' is upper }} {{ range is callable }} {{ s is callable }} {{ s is string and l is sequence }} {{ not s is string }} {{ 1 + 1 is odd }} {{ 'a' ~ 'b' is string }}
{{ '  x y '|trim }}! {{ 'xxaxx'|trim('x') }} {{ s|upper }} {{ 'ABC dEf'|lower }} {{ 'hello wORLD-foo (bar)'|title }} {{ 'hELLO'|capitalize }} {{ 'éà'|upper }} {{ 'ÀÉ'|lower }} {{ 1|upper }} {{ 'a b_c  d'|wordcount }}
{{ 'aXbXc'|replace('X', '-') }} {{ 'aXbXc'|replace('X', '-', 1) }} {{ 'abc'|replace('', '-') }} {{ 'aaa'|replace('a', 'aa') }} {{ 123|replace(2, 'x') }}
{{ [1, 2, 3]|join }} {{ [1, 2, 3]|join(', ') }} {{ users|join(', ', attribute='name') }} {{ 'abc'|join('-') }} {{ d|join(',') }}
{{ l|length }} {{ s|length }} {{ d|count }} {{ 'é👍'|length }} {{ l|first }} {{ l|last }} {{ s|first }} {{ s|last }} {{ []|first }}! {{ d|first }}
{{ 'abc'|list }} {{ d|list }} {{ (1, 2)|list }} {{ 5|string }} {{ [1]|string ~ '!' }} {{ 'x'|safe }} {{ '<a href="x">&\'</a>'|e }} {{ 'a'|escape }}
{{ '42'|int }} {{ '4x'|int }} {{ '4x'|int(7) }} {{ '12.7'|int }} {{ 3.9|int }} {{ -3.9|int }} {{ 'ff'|int(base=16) }} {{ true|int }} {{ '1.5'|float }} {{ 'x'|float }} {{ 'x'|float(2.5) }} {{ 3|float }} {{ none|int }} {{ ' 7 '|int }} {{ '1e3'|float }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 42|round }} {{ 1234.5|round(-2) }}
{{ d|items|list }} {{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list }} {{ d|dictsort }} {{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ {'b': 1, 'a': 2}|dictsort(reverse=true) }}
{{ [3, 1, 2]|sort }} {{ [3, 1, 2]|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ users|sort(attribute='age')|map(attribute='name')|list }} {{ [3, 1, 3, 2, 1]|unique|list }} {{ ['a', 'A']|unique|list }}
{{ [3, 1, 2]|min }} {{ [3, 1, 2]|max }} {{ users|max(attribute='age') }} {{ [1, 2]|sum }} {{ users|sum(attribute='age') }} {{ [[1], [2]]|sum(start=[]) }} {{ []|sum }} {{ []|max }}! {{ 'abc'|reverse }} {{ [1, 2]|reverse|list }}
{{ users|map(attribute='name')|list }} {{ users|map(attribute='zip', default='?')|list }} {{ ['a', 'b']|map('upper')|list }} {{ ['a', 'b']|map('replace', 'a', 'x')|join }} {{ users|map(attribute='tags.0')|list }} {{ [[1, 2], [3]]|map('first')|list }} {{ [[1, 2]]|map(attribute=1)|list }}
{{ [0, 1, '', 'a']|select|list }} {{ [0, 1]|reject|list }} {{ [1, 2, 3]|select('odd')|list }} {{ [1, 2, 3]|reject('gt', 1)|list }} {{ users|selectattr('admin')|map(attribute='name')|list }} {{ users|rejectattr('admin')|list|length }} {{ users|selectattr('age', 'gt', 30)|map(attribute='name')|list }} {{ users|selectattr('zip', 'defined')|list }} {{ users|selectattr('name', 'in', ['bob'])|list|length }}
{{ 'a\nb\n\nc'|indent }} | {{ 'a\nb'|indent(2, true) }} | {{ 'a\n\nb'|indent(2, blank=true) }} | {{ 'a\nb'|indent('> ') }}
{{ d|tojson }} {{ l|tojson }} {{ s|tojson }} {{ none|tojson }} {{ true|tojson }} {{ 1.0|tojson }} {{ 1e100|tojson }} {{ (1, 2)|tojson }} {{ 'é<>&\'"\\/\n\t\x01\x7f👍'|tojson }} {{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }} {{ [] | tojson }} {{ {}|tojson }}
{{ d|tojson(indent=2) }} {{ l|tojson(indent=1) }} {{ []|tojson(indent=2) }} {{ {}|tojson(indent=2) }} {{ {'b': 1, 'a': {'d': 1, 'c': [1, {}]}}|tojson(sort_keys=true, indent=0) }} {{ d|tojson(separators=(',', ':')) }} {{ 'é👍'|tojson(ensure_ascii=true) }} {{ d|tojson(indent='\t') }}
{{ range|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ ' a '.strip() }}! {{ ' a '.lstrip() }}! {{ ' a '.rstrip() }}! {{ 'xxaxx'.strip('x') }} {{ 'abcba'.strip('ab') }} {{ '\u00a0a\u2003'.strip() }}! {{ '\n\n a'.lstrip('\n') }}!
{{ 'a b  c'.split() }} {{ ' a  b '.split() }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b  c '.split(none, 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a b'.split(' ', maxsplit=0) }} {{ 'a--b--c'.split('--')[-1] }}
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\n\nb'.splitlines(true) }} {{ ''.splitlines() }} {{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.endswith(('a', 'b')) }}
{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '', 1) }} {{ 'ab'.replace('', '.') }} {{ 'Abc'.upper() }} {{ 'ABC'.lower() }} {{ "they're bill's friends x2y".title() }} {{ 'aBC dEF'.capitalize() }} {{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abc'.find('z') }} {{ 'é日b'.index('b') }} {{ 'abab'.count('ab') }} {{ 'aaa'.count('') }}
{{ ', '.join(['a', 'b']) }} {{ ''.join([]) }} {{ '-'.join('abc') }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a'.ljust(3) }}! {{ 'a'.rjust(3, '.') }} {{ 'ab'.center(5, '*') }} {{ 'a'.center(4, '*') }}
{{ '12'.isdigit() }} {{ ''.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' \n'.isspace() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ '1'.isupper() }} {{ '{} and {}'.format(1, 'b') }} {{ '{1}{0}{{x}}{k}'.format(1, 2, k='z') }}
{{ ','.join([1]) }}
{{ 'abc'.index('z') }}
{{ 'a'.split('') }}
{{ l.append(1) }}
{{ d.update({}) }}
{{ d.pop('a') }}
{{ l.index(3) }} {{ l.count(3) }}
{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(5, 0, -2)|list }} {{ range(0)|list }} {{ range(10)|length }}
{{ range(1000000) }}
{{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2) }} {{ dict()|length }}
{% set x = 1 %}{{ x }}{% set x, y = 2, 3 %}{{ x }}{{ y }}{% set (p, q) = [4, 5] %}{{ p }}{{ q }}{% set t = 1, 2 %}{{ t }}
{% set x, y = [1] %}
{% set x %}block {{ 1 + 1 }}{% endset %}{{ x }}{% set z | upper | replace('B', 'c') %}abc{% endset %}{{ z }}
{% set ns = namespace(a=1) %}{% for i in [1, 2, 3] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }} {{ ns.b is defined }} {{ namespace({'q': 2}).q }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set d.a = 1 %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{% if true %}{% set x = 3 %}{% endif %}{{ x }}{% endfor %}{{ x }}
{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}; {% endfor %}{{ loop is defined }}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %} {% for a in [1, 2] %}{% set outer = loop %}{% for b in 'xy' %}{{ outer.index }}{{ b }}{{ loop.depth0 }} {% endfor %}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% for c in 'aé日' %}[{{ c }}]{% endfor %}
{% for x in [1, 2, 3, 4] if x is even %}{{ x }}{{ loop.index }}{{ loop.last }}{% else %}none{% endfor %} {% for x in [1] if x > 5 %}{{ x }}{% else %}none{% endfor %} {% for x in [] %}{% else %}empty{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %} {% for i in [1, 2] %}{% for j in [1, 2, 3] %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% else %}d{% endif %} {% if 1 %}a{% else %}b{% endif %} {% if nothing %}x{% endif %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(c=5, a=4) }} {{ m() }} {{ m(1, c=none) }} {{ m.name }} {{ m(1)|upper }} {{ m('p') ~ '!' }}
{% macro va() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ va(1, 2, k=3) }}
{% macro fact(n) %}{{ n if n < 2 else n * fact(n - 1)|int }}{% endmacro %}{{ fact(10) }}
{% set g = 'global' %}{% macro m() %}{{ g }}{% set g = 'local' %}{{ g }}{% endmacro %}{{ m() }}{{ g }}{% set g = 'changed' %}{{ m() }}
{% macro outer() %}[{{ caller() }}]{% endmacro %}{% call outer() %}inside {{ 1 }}{% endcall %} {% macro each(l) %}{% for x in l %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(a, b) each('xy') %}{{ a }}{{ b }} {% endcall %}
{% filter upper %}abc {{ s }}{% endfilter %} {% filter replace('a', 'b')|upper %}aaa{% endfilter %} {% with a = 1, b = 2 %}{{ a }}{{ b }}{% set a = 3 %}{{ a }}{% endwith %}{{ a }} {% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}!
{% raw %}{{ not }} {% if %}{# c #}{% endraw %} {%- raw -%}  x  {%- endraw -%}  y
a{# comment #}b{#- strip -#}   c   {#- x #} d {# multi
line #}e
{{ 'a' -}}   b   {{- 'c' }} {%- if true -%}   d   {%- endif -%}   e
{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}! {{ strftime_now('%d %b %Y %H:%M:%S %%') }} {{ strftime_now('%Y-%m-%d') }}
{{ raise_exception('boom') }}
{% if false %}{{ raise_exception('boom') }}{% endif %}fine
{{ bos_token }} {{ eos_token }} {{ unk_token is defined }} {{ tools is none }} {{ documents is defined }} {{ add_generation_prompt }}
{{ {'a': {'b': [1, {'c': 2}]}}.a.b[1].c }} {{ [{'x': 1}][0]['x'] }} {{ ('a' ~ 'b')[0] }} {{ 'abc'[1] }} {{ [1, 2, 3][1:][0] }} {{ {'a': 1}['a'] }} {{ 'x'.upper().lower() }}
{{ users[0].name }} {{ users[-1]['name'] }} {{ users|length > 1 and users[1].age >= 30 }} {{ (users|first).name }} {{ users[0].tags[-1] }}
{{ {'items': 1}.items is callable }}
{{ {'items': 1}['items'] }} {{ {'get': 5}['get'] }} {{ {'length': 3}.length }} {{ {'a b': 1}['a b'] }} {{ {1: 'one'}[1] }} {{ d.b['c'] }}
{% unknown %}
{% if %}x{% endif %}
{% for x in l %}
{{ x
{{ 'abc }}
{{ ) }}
{{ [1, 2 }}
{{ a b }}
{% endif %}
{% if true %}{% endfor %}
{{ 1 | }}
{% set %}
{{ x.1y }}
{% include 'x' %}
{% import 'x' as y %}
{% break %}
{{ }}
{% macro m(a=1, b) %}{% endmacro %}
{{ m(a=1, 2) }}
{{ '<%s>%s' % ('user', s) }} {{ '%s' % 'a' }} {{ '%s' % none }} {{ '%s' % [1, 'a'] }} {{ '%s' % (1.5,) }} {{ '%r %r' % ('a', 1.0) }} {{ '%s%%' % 5 }} {{ '%%' % () }} {{ 'x' % [] }} {{ 'x' % {} }} {{ '%s' % ((1, 2),) }}
{{ '[%5s|%-5s|%05s|%.2s|%5.1s]' % ('é', 'é', 'é', 'é日x', '日本') }} {{ '%*s|%-*d' % (4, 'a', 4, 7) }} {{ '%c%c' % ('é', 66) }} {{ '%.1r' % 'ab' }}
{{ '%5%' % (1,) }}
{{ '%d %i %u %5d|%-5d|%05d|%+d|% d|%.3d|%+05d' % (1, -2, true, 3, 3, 3, 3, 3, 3, 3) }} {{ '%d %d' % (3.9, -3.9) }} {{ '%x %X %o %#x %#06x %#o %x' % (255, 255, 8, 255, 255, 8, -255) }} {{ '%05d|%-05d|%05.2d' % (-3, -3, 3) }} {{ '%ld' % 3 }}
{{ '%f %.2f %5.1f|%-7.1f|%07.2f|%+.1f|%.0f|%F' % (1.5, 2.675, 3, 3.14159, -3.14159, 2, 2.5, 1) }} {{ '%e %.1E %g %g %g %.3g %G %#.3g' % (12345.678, 0.00012, 1e20, 0.0001, 100000, 3.14159, 1e-10, 1) }} {{ '%05f %f' % ('inf'|float, 'nan'|float) }}
{{ '%(a)s %(e)r %(a)03d' % d }} {{ '%(a)s' % {'a': 1, 'b': 2} }} {{ '%s' % d.b }} {{ '%s' % nothing }}! {{ '%r' % nothing }} {{ 'x' % nothing }} {{ '%s' % (nothing,) }}! {{ '%(a(b))s' % {'a(b)': 1} }}
{{ '%s and %s'|format('a', 2) }} {{ '%(k)s'|format(k=5) }} {{ 'x'|format }} {{ '%s' % '%s' % 'a' }} {{ 7 % 4 }} {{ 'n: %s' % messages|length }}
{{ '%s %s' % 'a' }}
{{ '%s %s' % [1, 2] }}
{{ '%s' % (1, 2) }}
{{ 'x' % 1 }}
{{ 'x' % 'a' }}
{{ '%d' % 'a' }}
{{ '%d' % none }}
{{ '%x' % 1.5 }}
{{ '%f' % 'a' }}
{{ '%c' % 'ab' }}
{{ '%' % () }}
{{ '%5' % 1 }}
{{ '%y' % 1 }}
{{ '%(a)s' % (1,) }}
{{ '%(z)s' % d }}
{{ '%(a' % d }}
{{ '%*d' % ('a', 1) }}
{{ '%d' % ('inf'|float) }}
{{ '%d' % nothing }}
{{ nothing % 1 }}
{{ 1 % 'a' }}
{{ '%s'|format(1, k=2) }}
{{ '%s' }} {{ '{{' }} {{ "}}" }} {{ '%}' }} {{ '{%' ~ '%}' }} { { } } {x} %} }} #}
{{- 'x' }}{{+ 1 }} {{ 1 -}} {%+ if true +%}
  y
{%+ endif %}
"""

LAYOUT = [
    "line1\n{% if true %}\n  line2\n{% endif %}\nline3\n",
    "  {% if true %}\n    indented\n  {% endif %}  \n  tail\n\n",
    "\t{%- for x in [1, 2] %}\n\t  {{ x }}\n\t{%- endfor %}\n",
    "a {% if true %} b {% endif %} c\n   {# comment #}\nd\n  {#- c -#}\n e",
    "{% for x in [1, 2] -%}\n  {{ x }},\n{%- endfor +%}\nend",
    "   {%+ if true %}\nkept indent\n   {%+ endif %}\n",
    "crlf\r\n{% if true %}\r\nx\r\n{% endif %}\r\ny\r\n",
    "{{ 1 }}\n{{ 2 }}\n\n", "{{ 1 }}  \n  {{ 2 }}", "\n\n{% set x = 1 %}\n\n{{ x }}\n", "", "\n", "no tags", "   ", "{% if true %}{% endif %}\n", " {% if true %} {% endif %} \n ",
    "{% set a = 1 %}   {% set b = 2 %}\n   {% set c = 3 %}\n{{ a }}", "x\n  {% raw %}\n  {{ raw }}\n  {% endraw %}\ny", "x {%- raw %} {{ a }} {%- endraw %} \n y",
    "a\u00a0{%- if true %}\u2003b\u2003{%- endif %}", "{{ '  ' }}\n  {%- set x = 1 %}\n  {{- x }}",
]

EXTRA = {"d": {"a": 1, "b": {"c": [1, 2]}, "e": "é"}, "l": [1, 2, 3, 4, 5], "s": "héllo 👍",
         "users": [{"name": "ann", "age": 31, "admin": True, "tags": ["x", "y"]}, {"name": "bob", "age": 30, "admin": False, "tags": ["z"]}]}


def render(template, messages, generate, extra):
    try:
        compiled = _compile_jinja_template(template)
        return {"output": compiled.render(**{"messages": messages, "tools": None, "documents": None, "add_generation_prompt": generate, "bos_token": "<s>", "eos_token": "</s>",
                                             "strftime_now": NOW.strftime, **extra})}
    except Exception as error:  # whatever Jinja or Python says, it is an error
        return {"error": True, "why": f"{type(error).__name__}: {error}"[:100]}


def main():
    chats = {"chat": CHAT, "system": SYSTEM, "think": THINK, "calls": CALLS, "wrong": WRONG, "parts": PARTS, "empty": [], "turn": CHAT[:2]}
    extras = {"none": {}, "values": EXTRA, "tools": {"tools": TOOLS, "enable_thinking": False, "date_string": "1 Jan 2025", "documents": [{"title": "t", "text": " body "}]}}
    cases = []

    def add(name, template, chat, generate, extra):
        known = {"family": name.split("/")[0]} if template in FAMILIES.values() else {"template": template}
        cases.append({"name": name, **known, "chat": chat, "generate": generate, "extra": extra, **render(template, chats[chat], generate, extras[extra])})

    for name, template in FAMILIES.items():
        for chat in ("chat", "system", "think", "calls", "wrong", "parts", "empty"):
            add(f"{name}/{chat}", template, chat, True, "none")
        add(f"{name}/no-prompt", template, "turn", False, "none")
        add(f"{name}/tools", template, "calls", True, "tools")
    # A line that begins with white space or a tag's rest goes on from the one before.
    snippets = []
    for line in SNIPPETS.strip("\n").split("\n"):
        if line.startswith(("c' }}", "line #}", "  y", "{%+ endif")):
            snippets[-1] += "\n" + line
        else:
            snippets.append(line)
    for i, template in enumerate(snippets):
        add(f"snippet/{i}", template, "turn", True, "values")
    for i, template in enumerate(LAYOUT):
        add(f"layout/{i}", template, "turn", True, "values")
    os.makedirs(os.path.join(HERE, "data"), exist_ok=True)
    with open(os.path.join(HERE, "data", "templates.json"), "w") as file:
        file.write('{"families": ' + json.dumps(FAMILIES) + ',\n"chats": ' + json.dumps(chats) + ',\n"extras": ' + json.dumps(extras) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

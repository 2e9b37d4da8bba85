// A parsed template. One node type for expressions and one for statements, told apart by kind: what
// the fields hold for each kind is beside it.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_AST_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_AST_H

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace quern::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind : uint8_t {
    None,
    Bool,        ///< integer
    Int,         ///< integer
    Float,       ///< number
    String,      ///< text
    Name,        ///< text
    List,        ///< kids
    Tuple,       ///< kids
    Dict,        ///< kids: key, value, key, value, ...
    Attribute,   ///< kids[0] . text
    Subscript,   ///< kids[0] [ kids[1] ]
    Slice,       ///< kids[0] [ kids[1] : kids[2] : kids[3] ], each of the last three perhaps null
    Call,        ///< kids[0] ( kids[1..], named )
    Filter,      ///< kids[0] | text ( kids[1..], named ); kids[0] is null in a filter block
    Test,        ///< kids[0] is text ( kids[1..], named )
    Not,         ///< kids[0]
    Negate,      ///< kids[0]
    Plus,        ///< kids[0]
    And,         ///< kids
    Or,          ///< kids
    Concat,      ///< kids, joined by ~
    Compare,     ///< kids[0] ops[0] kids[1] ops[1] kids[2] ...
    Arithmetic,  ///< kids[0] text kids[1]
    Conditional, ///< kids[1] if kids[0] else kids[2], the last perhaps null
  };
  Kind kind = Kind::None;
  int line = 0;
  int depth = 1; ///< of the tree from here down
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<ExprPtr> kids;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> ops;
};

struct Stmt;
using Body = std::vector<Stmt>;

struct Parameter {
  std::string name;
  ExprPtr fallback; ///< null: none
};

struct Stmt {
  enum class Kind : uint8_t {
    Text,     ///< text
    Output,   ///< exprs[0]
    If,       ///< exprs[i]: bodies[i]; one more body is the else
    For,      ///< target in exprs[0] if exprs[1] (perhaps null): bodies[0], else bodies[1]
    Set,      ///< target = exprs[0]
    SetBlock, ///< target = bodies[0] through exprs[0] (filters, perhaps null)
    Macro,    ///< text, parameters, bodies[0]
    Call,     ///< exprs[0] is called with bodies[0], of `parameters`, as its caller
    Filter,   ///< bodies[0] through exprs[0]
    With,     ///< targets[i] = exprs[i]: bodies[0]
    Scope,    ///< bodies[0] with names of its own ({% generation %})
    Break,
    Continue,
  };
  Kind kind = Kind::Text;
  int line = 0;
  std::string text;
  ExprPtr target; ///< Name, Tuple of targets, or Attribute of a Name (a namespace's)
  std::vector<ExprPtr> targets;
  std::vector<ExprPtr> exprs;
  std::vector<Parameter> parameters;
  std::vector<Body> bodies;
};

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_AST_H

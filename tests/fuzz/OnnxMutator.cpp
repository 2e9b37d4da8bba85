// Mutations of ONNX models that are still models: fields of any message are changed, and, where the
// bytes are a model, nodes, attributes, tensors and shapes in words of ONNX's own classes.
#include "frontends/WireFormat.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <onnx-ml.pb.h>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

using quern::append_field;
using quern::append_varint;
using quern::WireMessage;
using quern::WireType;

/// A field of a message. Bytes that read as a message are its fields.
struct Field {
  uint64_t number = 0;
  WireType type = WireType::Varint;
  uint64_t varint = 0;
  std::string bytes;
  std::vector<Field> fields;
  bool is_message = false;
};

bool parse(std::string_view bytes, int depth, std::vector<Field> &fields) {
  constexpr int kDeepest = 24;
  constexpr uint64_t kMostNumber = 64;
  if (depth > kDeepest)
    return false;
  WireMessage message(bytes);
  while (message.next()) {
    if (message.number() > kMostNumber)
      return false;
    Field &field = fields.emplace_back();
    field.number = message.number();
    field.type = message.type();
    field.bytes = message.bytes();
    if (field.type == WireType::Varint)
      field.varint = message.varint();
    else if (field.type != WireType::Bytes)
      field.bytes = message.field().substr(message.field().size() -
                                           (field.type == WireType::Fixed64 ? 8 : 4));
    else if (field.bytes.size() >= 2)
      field.is_message = parse(field.bytes, depth + 1, field.fields);
    if (!field.is_message)
      field.fields.clear();
  }
  return message.ok();
}

std::string text_of(const std::vector<Field> &fields) {
  std::string out;
  for (const Field &field : fields) {
    const std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
    if (field.type == WireType::Bytes) {
      append_field(out, field.number, bytes);
      continue;
    }
    append_varint(out, field.number << 3 | static_cast<uint64_t>(field.type));
    if (field.type == WireType::Varint)
      append_varint(out, field.varint);
    out += bytes;
  }
  return out;
}

/// All lists of fields, the message's own and those of the messages in it.
void lists_of(std::vector<Field> &fields, std::vector<std::vector<Field> *> &lists) {
  if (!fields.empty())
    lists.push_back(&fields);
  for (Field &field : fields)
    lists_of(field.fields, lists);
}

void mutate_value(Field &field, std::mt19937 &random) {
  static constexpr uint64_t kNumbers[] = {0,
                                          1,
                                          2,
                                          3,
                                          7,
                                          9,
                                          11,
                                          16,
                                          255,
                                          1 << 20,
                                          INT32_MAX,
                                          uint64_t{1} << 40,
                                          INT64_MAX,
                                          UINT64_MAX,
                                          UINT64_MAX - 1,
                                          uint64_t{1} << 63};
  if (field.type == WireType::Varint) {
    field.varint =
        random() % 2 ? kNumbers[random() % std::size(kNumbers)] : field.varint + random() % 5 - 2;
    return;
  }
  std::string bytes = field.is_message ? text_of(field.fields) : field.bytes;
  const size_t most = bytes.size() + (field.type == WireType::Bytes ? 16 : 0);
  const size_t was = bytes.size();
  bytes.resize(most);
  const size_t size =
      LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(bytes.data()), was, std::max<size_t>(most, 1));
  if (field.type == WireType::Bytes)
    bytes.resize(std::min(size, most));
  field.bytes = std::move(bytes);
  field.is_message = false;
  field.fields.clear();
}

using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

constexpr int64_t kSizes[] = {0,   1,        2,         3,         4,   5,  7,
                              8,   16,       17,        64,        255, -1, -2,
                              512, 1 << 20,  INT32_MAX, 1 << 30,   -7,  6,  int64_t{1} << 33,
                              9,   1000'000, INT64_MAX, INT64_MIN, 100};

/// Changes of a model's parts, each a small step from what an exporter writes.
class ModelMutator {
public:
  ModelMutator(ModelProto &model, std::mt19937 &random) : model_(model), random_(random) {
    collect(*model.mutable_graph());
    for (auto &function : *model.mutable_functions())
      for (NodeProto &node : *function.mutable_node())
        collect(node);
  }

  void mutate() {
    switch (below(14)) {
    case 0:
      return mutate_dims();
    case 1:
    case 2:
      return mutate_tensor();
    case 3:
    case 4:
      return mutate_input();
    case 5:
    case 6:
    case 7:
      return mutate_attribute();
    case 8:
      if (model_.opset_import_size() != 0)
        model_.mutable_opset_import(below(model_.opset_import_size()))
            ->set_version(below(3) == 0 ? kSizes[below(std::size(kSizes))] : below(30));
      return;
    case 9: // the results of a node, or one fewer
      if (NodeProto *node = any(nodes_)) {
        if (below(2) != 0 && node->output_size() > 1)
          node->mutable_output()->RemoveLast();
        else
          node->add_output(node->name() + "extra" + std::to_string(below(3)));
      }
      return;
    case 10: // another op on the same inputs
      if (NodeProto *node = any(nodes_), *other = any(nodes_); node != nullptr) {
        node->set_op_type(other->op_type());
        node->set_domain(other->domain());
        if (below(2) != 0)
          *node->mutable_attribute() = other->attribute();
      }
      return;
    case 11: // one more op on a value that there is
      if (NodeProto *node = any(nodes_); node != nullptr && model_.has_graph()) {
        NodeProto more = *node;
        const std::string result = "more" + std::to_string(below(1000));
        if (more.input_size() != 0)
          *more.mutable_input(below(more.input_size())) = value();
        if (more.output_size() == 0)
          more.add_output();
        *more.mutable_output(0) = result;
        *model_.mutable_graph()->add_node() = more;
        if (below(2) != 0)
          model_.mutable_graph()->add_output()->set_name(result);
      }
      return;
    case 12: // a call of a function, a subgraph where one was not
      if (NodeProto *node = any(nodes_); node != nullptr && model_.functions_size() != 0) {
        const auto &function = model_.functions(below(model_.functions_size()));
        node->set_op_type(function.name());
        node->set_domain(function.domain());
      } else if (node != nullptr && !graphs_.empty()) {
        const GraphProto copy = *graphs_[static_cast<size_t>(below(graphs_.size()))];
        AttributeProto &attribute = *node->add_attribute();
        attribute.set_name(below(2) != 0 ? "body" : "then_branch");
        attribute.set_type(AttributeProto::GRAPH);
        *attribute.mutable_g() = copy;
      }
      return;
    default:
      model_.set_ir_version(below(16));
    }
  }

private:
  int below(size_t count) { return static_cast<int>(random_() % count); }
  int below(int count) { return below(static_cast<size_t>(count)); }
  template <typename T> T *any(const std::vector<T *> &list) {
    return list.empty() ? nullptr : list[static_cast<size_t>(below(list.size()))];
  }
  std::string value() {
    return values_.empty() ? "" : values_[static_cast<size_t>(below(values_.size()))];
  }
  int64_t size(int64_t was) {
    if (below(3) != 0)
      return kSizes[below(std::size(kSizes))];
    int64_t near = 0; // of the ends of the numbers it may be the other one
    static_cast<void>(__builtin_add_overflow(was, int64_t{below(5) - 2}, &near));
    return near;
  }

  void collect(NodeProto &node) {
    nodes_.push_back(&node);
    values_.insert(values_.end(), node.output().begin(), node.output().end());
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      attributes_.push_back(&attribute);
      if (attribute.has_t())
        tensors_.push_back(attribute.mutable_t());
      if (attribute.has_g())
        collect(*attribute.mutable_g());
    }
  }
  void collect(GraphProto &graph) {
    graphs_.push_back(&graph);
    for (TensorProto &tensor : *graph.mutable_initializer()) {
      tensors_.push_back(&tensor);
      values_.push_back(tensor.name());
    }
    for (auto *list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()})
      for (auto &info : *list)
        if (info.type().has_tensor_type()) {
          infos_.push_back(info.mutable_type()->mutable_tensor_type());
          values_.push_back(info.name());
        }
    for (NodeProto &node : *graph.mutable_node())
      collect(node);
  }

  void mutate_dims() {
    auto *type = any(infos_);
    if (type == nullptr)
      return;
    if (below(6) == 0)
      return type->set_elem_type(below(30));
    if (below(12) == 0)
      return type->clear_shape();
    auto &shape = *type->mutable_shape();
    if (shape.dim_size() == 0 || below(6) == 0) {
      shape.add_dim()->set_dim_value(below(4));
    } else if (below(6) == 0) {
      shape.mutable_dim()->RemoveLast();
    } else {
      auto &dim = *shape.mutable_dim(below(shape.dim_size()));
      static const char *const kNames[] = {"n", "s", "2*n", "n + s", "n//2", "-1", "", "T", "n.0"};
      if (below(3) == 0)
        dim.set_dim_param(kNames[below(std::size(kNames))]);
      else
        dim.set_dim_value(size(dim.dim_value()));
    }
  }

  /// With as much data as it then takes, as far as that is little.
  void mutate_tensor() {
    TensorProto *tensor = any(tensors_);
    if (tensor == nullptr)
      return;
    switch (below(6)) {
    case 0:
      tensor->set_data_type(below(30));
      break;
    case 1:
      tensor->add_dims(below(4));
      break;
    case 2:
      if (tensor->dims_size() != 0)
        tensor->mutable_dims()->RemoveLast();
      break;
    case 3: { // one of its elements
      std::string *data = tensor->mutable_raw_data();
      if (data->size() >= 8) {
        const int64_t number = size(2);
        std::memcpy(data->data() + 8 * below(data->size() / 8), &number, 8);
        return;
      }
      if (tensor->int64_data_size() != 0)
        return tensor->set_int64_data(below(tensor->int64_data_size()), size(2));
      break;
    }
    case 4: { // integers, for a place that wants them
      tensor->clear_dims();
      const int count = below(5);
      if (below(4) != 0)
        tensor->add_dims(count);
      tensor->set_data_type(below(3) != 0 ? TensorProto::INT64 : TensorProto::INT32);
      break;
    }
    default:
      if (tensor->dims_size() != 0)
        tensor->set_dims(below(tensor->dims_size()), size(2));
    }
    static constexpr int kBytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2};
    int64_t bytes = static_cast<size_t>(tensor->data_type()) < std::size(kBytes)
                        ? kBytes[tensor->data_type()]
                        : 1;
    for (const int64_t dim : tensor->dims())
      if (dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes) || bytes > 1 << 12)
        return;
    const std::string was = tensor->raw_data();
    const std::string name = tensor->name();
    const int type = tensor->data_type();
    const auto dims = tensor->dims();
    tensor->Clear();
    tensor->set_name(name);
    tensor->set_data_type(type);
    *tensor->mutable_dims() = dims;
    std::string data(static_cast<size_t>(bytes), '\1');
    if (type == TensorProto::INT64)
      for (size_t i = 0; i + 8 <= data.size(); i += 8) {
        const int64_t number = below(8) == 0 ? size(2) : below(4);
        std::memcpy(data.data() + i, &number, 8);
      }
    else
      std::copy_n(was.begin(), std::min(was.size(), data.size()), data.begin());
    tensor->set_raw_data(data);
  }

  void mutate_input() {
    NodeProto *node = any(nodes_);
    if (node == nullptr)
      return;
    const int what = below(8);
    if (node->input_size() == 0 || what == 0)
      node->add_input(value());
    else if (what == 1)
      node->mutable_input()->RemoveLast();
    else if (what == 2)
      node->mutable_input(below(node->input_size()))->clear();
    else
      *node->mutable_input(below(node->input_size())) = value();
  }

  void mutate_attribute() {
    AttributeProto *attribute = any(attributes_);
    if (attribute == nullptr)
      return;
    static constexpr float kFloats[] = {0, -1, 1e-5F, 1e30F, -1e30F, 0.5F, 1, 2, 1e-40F};
    switch (below(8)) {
    case 0: { // another's, under its name
      const std::string name = attribute->name();
      *attribute = AttributeProto(*any(attributes_));
      return attribute->set_name(name);
    }
    case 1: { // of another node
      const AttributeProto copy = *attribute;
      *any(nodes_)->add_attribute() = copy;
      return;
    }
    case 2:
      attribute->add_ints(size(1));
      return;
    case 3:
      if (attribute->ints_size() != 0)
        attribute->mutable_ints()->RemoveLast();
      return;
    default:
      if (attribute->ints_size() != 0)
        attribute->set_ints(below(attribute->ints_size()), size(1));
      else if (attribute->has_i())
        attribute->set_i(size(attribute->i()));
      else if (attribute->has_f())
        attribute->set_f(kFloats[below(std::size(kFloats))]);
      else if (attribute->has_s())
        attribute->mutable_s()->append(1, static_cast<char>('a' + below(26)));
    }
  }

  ModelProto &model_;
  std::mt19937 &random_;
  std::vector<GraphProto *> graphs_;
  std::vector<NodeProto *> nodes_;
  std::vector<AttributeProto *> attributes_;
  std::vector<TensorProto *> tensors_;
  std::vector<::onnx::TypeProto_Tensor *> infos_;
  std::vector<std::string> values_;
};

/// The bytes of a model that was changed, or nothing where it is none.
std::string mutated_model(std::string_view bytes, std::mt19937 &random) {
  ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph())
    return {};
  for (unsigned i = 0, count = 1 + random() % 3; i < count; ++i)
    ModelMutator(model, random).mutate();
  return model.SerializeAsString();
}

/// The nodes of the second graph beside those of the first, on its values where types are equal.
std::string joined(std::string_view first, std::string_view second, std::mt19937 &random) {
  ModelProto model, other;
  if (!model.ParseFromArray(first.data(), static_cast<int>(first.size())) ||
      !other.ParseFromArray(second.data(), static_cast<int>(second.size())))
    return {};
  GraphProto &into = *model.mutable_graph();
  GraphProto &from = *other.mutable_graph();
  const auto renamed = [&](const std::string &name) { return name.empty() ? name : name + "'"; };
  std::vector<std::string> values;
  for (const auto &info : into.input())
    values.push_back(info.name());
  for (const NodeProto &node : into.node())
    values.insert(values.end(), node.output().begin(), node.output().end());
  for (NodeProto &node : *from.mutable_node()) {
    for (auto *list : {node.mutable_input(), node.mutable_output()})
      for (std::string &name : *list)
        name = renamed(name);
    if (node.input_size() != 0 && !values.empty() && random() % 2 != 0)
      *node.mutable_input(static_cast<int>(random() % static_cast<size_t>(node.input_size()))) =
          values[random() % values.size()];
    *into.add_node() = node;
  }
  for (TensorProto &tensor : *from.mutable_initializer()) {
    tensor.set_name(renamed(tensor.name()));
    *into.add_initializer() = tensor;
  }
  for (auto &info : *from.mutable_input()) {
    info.set_name(renamed(info.name()));
    *into.add_input() = info;
  }
  for (auto &info : *from.mutable_output()) {
    info.set_name(renamed(info.name()));
    *into.add_output() = info;
  }
  return model.SerializeAsString();
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                                          unsigned int seed) {
  std::mt19937 random(seed);
  if (random() % 3 != 0)
    if (const std::string model =
            mutated_model({reinterpret_cast<const char *>(data), size}, random);
        !model.empty() && model.size() <= most) {
      std::memcpy(data, model.data(), model.size());
      return model.size();
    }
  std::vector<Field> message;
  if (random() % 8 == 0 || !parse({reinterpret_cast<const char *>(data), size}, 0, message))
    return LLVMFuzzerMutate(data, size, most);
  std::vector<std::vector<Field> *> lists;
  lists_of(message, lists);
  if (lists.empty())
    return LLVMFuzzerMutate(data, size, most);
  std::vector<Field> &fields = *lists[random() % lists.size()];
  const std::vector<Field> &others = *lists[random() % lists.size()];
  const Field other = others[random() % others.size()];
  Field &field = fields[random() % fields.size()];
  switch (random() % 7) {
  case 0:
    fields.erase(fields.begin() + (&field - fields.data()));
    break;
  case 1:
    fields.push_back(Field(field));
    break;
  case 2:
    std::swap(field, fields[random() % fields.size()]);
    break;
  case 3: { // another's value under this number
    const uint64_t number = field.number;
    field = other;
    field.number = number;
    break;
  }
  case 4:
    fields.push_back(other);
    break;
  default:
    mutate_value(field, random);
  }
  const std::string out = text_of(message);
  if (out.empty() || out.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, out.data(), out.size());
  return out.size();
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size,
                                            const uint8_t *second, size_t second_size, uint8_t *out,
                                            size_t most, unsigned int seed) {
  std::mt19937 random(seed);
  const std::string both = joined({reinterpret_cast<const char *>(first), first_size},
                                  {reinterpret_cast<const char *>(second), second_size}, random);
  if (both.empty() || both.size() > most)
    return 0;
  std::memcpy(out, both.data(), both.size());
  return both.size();
}

// PTX text, hostile: refused with a message, or loaded and run for a while.
#include "tests/fuzz/Fuzz.h"
#include "tests/ptx/Interpreter.h"

#include <cstring>
#include <vector>

void quern::fuzz::read(std::string_view bytes) {
  using namespace quern::ptx;
  DeviceTraits traits;
  traits.memory = u64{128} << 20;
  Device device(traits);
  device.set_limit(2000);
  const auto module = device.load(bytes);
  if (!module.ok()) {
    require(!module.status().message().empty(), "a refusal without a message");
    return;
  }
  const u64 room = device.put(std::vector<u32>(1024, 1));
  for (const auto &[name, function] : (*module)->functions) {
    if (!function->entry)
      continue;
    // Pointers where a parameter has room for one.
    std::vector<u8> parameters(function->parameter_bytes, 0);
    for (const Formal &formal : function->parameters)
      if (formal.bytes == 8)
        std::memcpy(parameters.data() + formal.offset, &room, 8);
    Shape shape;
    shape.block[0] = 40;
    shape.grid[0] = 2;
    const auto report = device.launch(**module, *function, shape, parameters);
    if (report.ok() && *report)
      require(!(*report)->text().empty(), "a report without words");
  }
}

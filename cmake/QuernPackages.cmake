# The well-kept libraries Quern stands on, all from Debian's packages. What the runtime links is static
# (QuernStatic.cmake); the compiler shares libLLVM and libMLIR.
find_package(GTest REQUIRED)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(Threads REQUIRED)
include(QuernStatic)

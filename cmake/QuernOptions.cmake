# Compiler flags every target shares: warnings are errors, sanitizers by one switch.
set(QUERN_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them (empty: none)")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -ffunction-sections -fdata-sections
                    -fvisibility-inlines-hidden)
add_link_options(-fuse-ld=lld -Wl,--gc-sections)
# Floating-point results must not depend on what the compiler contracts.
add_compile_options(-ffp-contract=off)

if(QUERN_SANITIZE)
  add_compile_options(-fsanitize=${QUERN_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QUERN_SANITIZE})
endif()

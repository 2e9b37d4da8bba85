# Interface targets over the static archives of Debian's packages, so that what ships needs none of them
# installed: quern_absl (absl::Status, strings) and quern_xxhash. The shared absl:: targets of
# find_package(absl) would make the runtime depend on libabsl_*.so.
include_guard(GLOBAL)
function(quern_static_library name)
  add_library(${name} INTERFACE)
  foreach(archive ${ARGN})
    find_library(QUERN_${archive}_A lib${archive}.a REQUIRED)
    mark_as_advanced(QUERN_${archive}_A)
    target_link_libraries(${name} INTERFACE ${QUERN_${archive}_A})
  endforeach()
endfunction()

# Dependents first: a linker that reads archives once, in order, resolves them too.
quern_static_library(quern_absl
  absl_statusor absl_status absl_cord absl_cordz_info absl_cord_internal absl_cordz_functions
  absl_exponential_biased absl_cordz_handle absl_bad_optional_access absl_bad_variant_access
  absl_str_format_internal absl_strerror absl_synchronization absl_graphcycles_internal
  absl_stacktrace absl_symbolize absl_malloc_internal absl_debugging_internal
  absl_demangle_internal absl_time absl_civil_time absl_time_zone absl_strings
  absl_strings_internal absl_throw_delegate absl_int128 absl_base absl_spinlock_wait
  absl_raw_logging_internal absl_log_severity)
find_package(Threads REQUIRED)
target_link_libraries(quern_absl INTERFACE Threads::Threads)
quern_static_library(quern_xxhash xxhash)

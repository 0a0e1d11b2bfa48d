# Target check_headers: each header of src/ compiles alone (and twice), one generated file per header. A header that its own
# .cc includes before anything else has been compiled alone already, so it is left out. Not part of `all`: test.sh builds
# it. Without optimisation, because only the front end's verdict is wanted.
function(pagoda_add_check_headers)
  file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR}/src CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.h)
  # Headers of the CUDA kernels need its compiler.
  list(FILTER headers EXCLUDE REGEX "^kernels/cuda/")
  set(sources "")
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "h$" "cc" own ${PROJECT_SOURCE_DIR}/src/${header})
    if(EXISTS ${own})
      file(STRINGS ${own} first_include REGEX "^#include" LIMIT_COUNT 1)
      if(first_include STREQUAL "#include \"${header}\"")
        continue()
      endif()
    endif()
    string(REPLACE "/" "." name ${header})
    set(source ${PROJECT_BINARY_DIR}/check_headers/${name}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\"\n" @ONLY)
    list(APPEND sources ${source})
  endforeach()
  if(NOT sources)
    return()
  endif()
  add_library(check_headers OBJECT EXCLUDE_FROM_ALL ${sources})
  target_compile_options(check_headers PRIVATE -O0 -g0)
  target_include_directories(check_headers PRIVATE ${PROJECT_SOURCE_DIR}/src)
  # Only for the include paths of the libraries that headers show; nothing is linked.
  target_link_libraries(check_headers PRIVATE fmt::fmt spdlog::spdlog Threads::Threads Boost::json ICU::uc
                        PkgConfig::PCRE2 PkgConfig::HWY CLI11::CLI11 prometheus-cpp::core)
endfunction()

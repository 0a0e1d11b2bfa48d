# Compiler flags and the compiler cache. Kernels choose their instruction set at run time, so nothing here
# may raise the baseline above x86-64.
find_program(CCACHE ccache)
if(CCACHE)
  # Without these two it does not keep what was compiled with a precompiled header (the tests').
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# nvcc knows its own options only; its host code is checked when g++ compiles the same headers.
add_compile_options($<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wno-unused-parameter$<SEMICOLON>-fno-omit-frame-pointer>)
if(PAGODA_WERROR)
  add_compile_options(-Werror)
endif()
if(PAGODA_SANITIZE)
  # Line numbers are all that a report needs; more debug information, or -O2, doubles the time to compile.
  add_compile_options(-fsanitize=${PAGODA_SANITIZE} -fno-sanitize-recover=all -O1 -g1)
  add_link_options(-fsanitize=${PAGODA_SANITIZE})
endif()
if(PAGODA_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)  # the libraries too tell the fuzzer which branches were taken
endif()

# Puts the files of a folder into a binary as they are: gives `target` a source file that defines embedded_files()
# (src/serve/embedded_files.h), with paths relative to the folder. The assembler reads the files, so their size costs
# no compile time.
function(pagoda_embed_files target folder)
  file(GLOB_RECURSE files RELATIVE ${folder} CONFIGURE_DEPENDS ${folder}/*)
  list(SORT files)
  set(assembly "")
  set(declarations "")
  set(entries "")
  set(paths "")
  set(index 0)
  foreach(file IN LISTS files)
    set(name pagoda_embedded_${index})
    string(APPEND assembly
      "asm(\".section .rodata\\n.global ${name}\\n.global ${name}_end\\n${name}:\\n"
      ".incbin \\\"${folder}/${file}\\\"\\n${name}_end:\\n.byte 0\\n.previous\\n\");\n")
    string(APPEND declarations "extern \"C\" const char ${name}[], ${name}_end[];\n")
    string(APPEND entries "    {\"${file}\", ${name}, ${name}_end},\n")
    list(APPEND paths ${folder}/${file})
    math(EXPR index "${index} + 1")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded_files.cc)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT "#include \"serve/embedded_files.h\"\n
${assembly}
${declarations}
namespace pagoda::serve {
std::vector<EmbeddedFile> embedded_files() {
  return {
${entries}  };
}
}  // namespace pagoda::serve
")
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${paths}")
  target_sources(${target} PRIVATE ${source})
endfunction()

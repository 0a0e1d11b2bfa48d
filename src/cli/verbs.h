#pragma once
// One function a verb: adds its subcommand to the application and returns what runs it. The returned function
// gives the process's exit code; it is called after parsing, if its subcommand was chosen.

#include <CLI/CLI.hpp>
#include <functional>

namespace pagoda::cli {

using Verb = std::function<int()>;

Verb add_serve(CLI::App& app);
Verb add_translate(CLI::App& app);
Verb add_bench(CLI::App& app);
// A subcommand of bench.
Verb add_bench_serve(CLI::App& bench);
Verb add_quantize(CLI::App& app);
Verb add_inspect(CLI::App& app);
Verb add_pull(CLI::App& app);
Verb add_eval(CLI::App& app);

// The bundled model: $PAGODA_MODEL, else models/nano in the working directory or beside the build.
std::string default_model();

}  // namespace pagoda::cli

#include <fmt/core.h>

#include <filesystem>
#include <vector>

#include "cli/verbs.h"

namespace pagoda::cli {

std::string default_model() {
  if (const char* model = std::getenv("PAGODA_MODEL")) return model;
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (fs::path base = fs::current_path(error);
       const fs::path& candidate :
       {base / "models/nano", beside / "../../../../models/nano", beside / "../share/pagoda/models/nano"})
    if (fs::exists(candidate / "config.json")) return candidate.lexically_normal().string();
  return "models/nano";
}

}  // namespace pagoda::cli

int main(int argc, char** argv) {
  using pagoda::cli::Verb;
  CLI::App app{"Pagoda: Hunyuan translation models on one machine.", "pagoda"};
  app.set_version_flag("--version", std::string("pagoda ") + PAGODA_VERSION);
  app.require_subcommand(1);
  const std::vector<Verb> verbs = {pagoda::cli::add_serve(app),   pagoda::cli::add_translate(app),
                                   pagoda::cli::add_bench(app),   pagoda::cli::add_quantize(app),
                                   pagoda::cli::add_inspect(app), pagoda::cli::add_pull(app),
                                   pagoda::cli::add_eval(app)};
  CLI11_PARSE(app, argc, argv);
  const std::vector<CLI::App*> subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (std::size_t i = 0; i < verbs.size(); ++i)
    if (subcommands[i]->parsed()) return verbs[i]();
  return 2;
}

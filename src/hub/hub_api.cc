#include "hub/hub_api.h"

#include <algorithm>

namespace pagoda::hub {
namespace {

constexpr std::size_t kMaxListBytes = 64 << 20;
constexpr int kMaxPages = 1000;

std::string encoded_path(const std::string& path) {
  std::string out;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t slash = std::min(path.find('/', begin), path.size());
    if (begin > 0) out += '/';
    out += url_encode(path.substr(begin, slash - begin));
    begin = slash + 1;
  }
  return out;
}

base::Result<std::string> get_text(HttpClient& client, const PullOptions& options,
                                   const std::string& repository, const std::string& url, HttpReply* reply) {
  std::string body;
  *reply = client.get_text(url, kMaxListBytes, &body);
  if (!reply->ok()) return refusal(*reply, options, repository, "the file list");
  return body;
}

base::Result<Listing> list_huggingface(HttpClient& client, const PullOptions& options,
                                       const std::string& repository, HttpReply* reply) {
  Listing listing{repository, "", {}};
  const std::string base = options.endpoint + "/api/models/" + repository;
  ASSIGN_OR_RETURN(
      const std::string revision,
      get_text(client, options, repository, base + "/revision/" + url_encode(options.revision), reply));
  ASSIGN_OR_RETURN(listing.commit, parse_huggingface_commit(revision));
  // By the commit from here on: the branch may move while we read.
  std::string url = base + "/tree/" + listing.commit + "?recursive=true";
  for (int page = 0; !url.empty(); ++page) {
    if (page == kMaxPages) return base::data_loss("the file list of {} does not end", repository);
    ASSIGN_OR_RETURN(const std::string text, get_text(client, options, repository, url, reply));
    ASSIGN_OR_RETURN(std::vector<RemoteFile> files, parse_huggingface_tree(text));
    std::move(files.begin(), files.end(), std::back_inserter(listing.files));
    url = next_page(reply->link);
    if (url.starts_with('/')) url = origin_of(options.endpoint) + url;
  }
  return listing;
}

base::Result<Listing> list_modelscope(HttpClient& client, const PullOptions& options,
                                      const std::string& repository, HttpReply* reply) {
  Listing listing{repository, "", {}};
  ASSIGN_OR_RETURN(const std::string text,
                   get_text(client, options, repository,
                            options.endpoint + "/api/v1/models/" + repository +
                                "/repo/files?Revision=" + url_encode(options.revision) + "&Recursive=true",
                            reply));
  auto files = parse_modelscope_files(text);
  if (!files.ok() && files.status().code() == base::Code::kNotFound)
    return base::error(base::Code::kNotFound, "{} at {} on {}: {}", repository, options.revision,
                       printable_url(options.endpoint), files.status().message());
  if (!files.ok()) return files.status();
  listing.files = std::move(files).value();
  // No commit is given with the list, so the snapshot is named by what it holds.
  std::vector<std::string> lines;
  for (const RemoteFile& file : listing.files)
    lines.push_back(fmt::format("{}\n{}\n{}\n", file.path, file.bytes, file.digest.hex));
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line;
  listing.commit = "list-" + sha256_hex(all).substr(0, 40);
  return listing;
}

}  // namespace

base::Result<Listing> list_repository(HttpClient& client, const PullOptions& options,
                                      const std::string& repository, HttpReply* reply) {
  ASSIGN_OR_RETURN(Listing listing, options.hub == Hub::kHuggingFace
                                        ? list_huggingface(client, options, repository, reply)
                                        : list_modelscope(client, options, repository, reply));
  RETURN_IF_ERROR(check_paths(listing.files));
  if (listing.files.empty())
    return base::error(base::Code::kNotFound, "{} at {} holds no files", repository, options.revision);
  return listing;
}

std::string file_url(const PullOptions& options, const Listing& listing, const std::string& path) {
  return options.hub == Hub::kHuggingFace ? options.endpoint + "/" + listing.repository + "/resolve/" +
                                                listing.commit + "/" + encoded_path(path)
                                          : options.endpoint + "/models/" + listing.repository + "/resolve/" +
                                                url_encode(options.revision) + "/" + encoded_path(path);
}

base::Status refusal(const HttpReply& reply, const PullOptions& options, const std::string& repository,
                     const std::string& what) {
  using base::Code;
  const std::string host = printable_url(reply.url.empty() ? options.endpoint : origin_of(reply.url));
  const char* variable = options.hub == Hub::kHuggingFace ? "HF_TOKEN" : "MODELSCOPE_API_TOKEN";
  switch (reply.outcome) {
    case HttpReply::Outcome::kAnswered:
      break;
    case HttpReply::Outcome::kUnreachable:
      return base::error(Code::kFailedPrecondition, "{} cannot be reached: {}", host, reply.error);
    case HttpReply::Outcome::kStopped:
      return base::error(Code::kCancelled, "stopped");
    default:
      return base::error(Code::kFailedPrecondition, "{} from {}: {}", what, host, reply.error);
  }
  if (reply.error_code == "GatedRepo")
    return base::error(
        Code::kFailedPrecondition,
        "{} is gated: accept its terms at {}/{}, and give a token of that account with --token or {}",
        repository, printable_url(options.endpoint), repository, variable);
  if ((reply.status == 401 || reply.status == 403) && options.token.empty())
    return base::error(Code::kFailedPrecondition,
                       "{} answers {} for {}: it does not exist, or it is private or gated and needs a token "
                       "(--token, or {})",
                       host, reply.status, repository, variable);
  if (reply.status == 401 || reply.status == 403)
    return base::error(
        Code::kFailedPrecondition,
        "{} answers {} for {}: the token (--token, or {}) is not valid or gives no access, or it "
        "does not exist",
        host, reply.status, repository, variable);
  if (reply.status == 404)
    return base::error(Code::kNotFound, "{} knows no {} at revision {} (404 for {})", host, repository,
                       options.revision, what);
  if (reply.status == 429)
    return base::error(
        Code::kFailedPrecondition, "{} answers 429, too many requests{}", host,
        reply.retry_after ? fmt::format(": try again in {} s", reply.retry_after->count()) : "");
  return base::error(Code::kFailedPrecondition, "{} answers {} for {}", host, reply.status, what);
}

bool worth_retrying(const HttpReply& reply) {
  if (reply.outcome != HttpReply::Outcome::kAnswered)
    return reply.outcome == HttpReply::Outcome::kInterrupted ||
           reply.outcome == HttpReply::Outcome::kUnreachable;
  return reply.status == 408 || reply.status == 429 || reply.status >= 500;
}

}  // namespace pagoda::hub

// WordPiece against Hugging Face's tokenizers: every code point, real vocabularies, corpora, pairs, truncation.
// In: the folder that tests/text/oracle/run.sh makes ($RANKLET_ORACLE_DIR/cases). Skips, saying so, where it is absent.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "oracle_cases.hpp"

namespace {

std::filesystem::path oracle_folder() {
    const char* variable = std::getenv("RANKLET_ORACLE_DIR");
    if (variable == nullptr) return {};
    const std::filesystem::path folder = std::filesystem::path(variable) / "cases";
    return std::filesystem::is_directory(folder) ? folder : std::filesystem::path(variable);
}

std::filesystem::path golden_folder() { return std::filesystem::path(__FILE__).parent_path() / "goldens"; }

void check_folder(const std::filesystem::path& folder, std::size_t least_cases) {
    std::size_t cases = 0;
    std::size_t tokens = 0;
    for (const oracle::CaseFile& file : oracle::case_files(folder)) {
        CAPTURE(file.cases.string());
        const auto tokenizer = oracle::read_tokenizer(file.tokenizer);
        REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
        const oracle::Report report = oracle::check(*tokenizer, file);
        CHECK(report.cases > 0);
        CHECK_MESSAGE(report.failures == 0, report.failures << " of " << report.cases << " cases differ; the first:\n"
                                                            << report.first_failure);
        cases += report.cases;
        tokens += report.tokens;
    }
    MESSAGE(cases << " cases, " << tokens << " tokens compared");
    CHECK(cases >= least_cases);
}

}  // namespace

TEST_CASE("hard texts, added tokens and decoding agree with the committed goldens of Hugging Face's tokenizers") {
    check_folder(golden_folder(), 800);
}

TEST_CASE("every code point, the corpora, pairs and truncations agree with Hugging Face's tokenizers") {
    const std::filesystem::path folder = oracle_folder();
    if (folder.empty() || !std::filesystem::is_directory(folder)) {
        MESSAGE("skipped: $RANKLET_ORACLE_DIR is not set or absent; tests/text/oracle/run.sh makes it");
        return;
    }
    check_folder(folder, 100000);
}

// Writes the goldens of unchanged_test.cpp: catalog files, user states and answers, as the library gives them that it
// is compiled with. In: the folder to write to; started at the project's root.
// goldens/ was written with the headers of commit 697647c:
//     g++ -std=c++20 -O2 -march=x86-64-v3 -I include -isystem /usr/include/eigen3 tests/unchanged/make.cpp -o make && ./make FOLDER
// It is not part of a build, and is run again only for a case that is new ("history" and "fitted" are younger; make_fitted.sh made
// the latter's model).
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "answers.hpp"

void unchanged::fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

namespace {

void write(const std::string& path, std::span<const std::byte> bytes) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fclose(file) != 0)
        unchanged::fail(path + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
    using namespace unchanged;
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    const std::string_view folder = argv[1];
    for (const Case& c : cases) {
        const auto model = take(ranklet::Recommender::load(std::string(c.model)));
        const auto catalog = make_catalog(model, c);
        succeed(ranklet::save_catalog(catalog, catalog_path(folder, c)));
        std::string text;
        for (const std::string_view name : user_names(c)) {
            const auto user = make_user(model, catalog, c, name);
            write(state_path(folder, c, name), user.save());
            for (const std::string& line : answers(model, catalog, c, name, user)) text += line + '\n';
        }
        write(answers_path(folder, c), std::as_bytes(std::span(text)));
    }
}

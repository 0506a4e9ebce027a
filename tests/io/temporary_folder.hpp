// A folder for a test's files, gone with the object.
// In: names and contents. Out: paths.
#pragma once

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace ranklet_test {

class TemporaryFolder {
public:
    TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "ranklet_XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) path_.clear();  // then write() gives no path
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const noexcept { return path_; }

    /// Writes a file and returns its path, which is empty when that failed.
    std::string write(const std::string& name, std::string_view content) const {
        if (path_.empty()) return {};
        const std::string file_path = path_ + "/" + name;
        std::FILE* file = std::fopen(file_path.c_str(), "wb");
        if (file == nullptr) return {};
        const bool complete = std::fwrite(content.data(), 1, content.size(), file) == content.size();
        return std::fclose(file) == 0 && complete ? file_path : std::string();
    }

private:
    std::string path_;
};

}  // namespace ranklet_test

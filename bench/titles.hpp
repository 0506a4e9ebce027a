// The texts of the benchmarks: the demo shop's titles.
// In: examples/data/catalog.tsv. Out: its titles; none where the program does not start in the repository's root.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

/// The demo shop's titles, a column of its catalog.
inline const std::vector<std::string>& titles() {
    static const std::vector<std::string> result = [] {
        std::vector<std::string> lines;
        std::ifstream file("examples/data/catalog.tsv");
        std::string line;
        std::getline(file, line);  // the names of the columns
        while (std::getline(file, line)) {
            std::size_t first = 0;
            for (int column = 0; column < 3 && first != std::string::npos; ++column)
                first = line.find('\t', first) + (line.find('\t', first) == std::string::npos ? 0 : 1);
            if (first == std::string::npos) continue;
            lines.push_back(line.substr(first, line.find('\t', first) - first));
        }
        return lines;
    }();
    return result;
}

// The types of the generated table in effects_table.cpp: every effect and parameter as declared in
// bridge/latensify_bridge/effects.py. Run `python -m latensify_bridge.generate` after changing that file.
#pragma once

#include <cstddef>

namespace latensify {

enum class ParamKind { kDouble, kInteger, kBoolean, kChoice, kString };

struct ChoiceOption {
    const char* value;  // travels
    const char* label;  // is shown
};

struct ParamInfo {
    const char* name;
    const char* label;
    const char* hint;
    const char* group;
    ParamKind kind;
    bool travels;  // part of the request; otherwise it stays beside the plate
    double defaultNumber;  // also a boolean's 0 or 1, and a choice's index
    double minimum;
    double maximum;
    double sliderMinimum;
    double sliderMaximum;
    const char* defaultText;
    const ChoiceOption* options;
    std::size_t optionCount;
};

struct EffectInfo {
    const char* id;       // the OFX identifier
    const char* name;     // on the wire
    const char* label;
    const char* summary;
    bool needsPrompt;     // with no text, or at strength 0, nothing would change
    bool needsMask;
    bool takesMask;       // has a Mask input
    bool generator;       // works without a Source; then `use_source` travels as off
    bool grows;           // the output is larger than the source, by `left`, `right`, `top` and `bottom`
    bool fits;            // a model can be fitted to its shot: the choice `fill` then has a value `fitted`
    const ParamInfo* params;
    std::size_t paramCount;
};

extern const char* const kVersion;
extern const EffectInfo kEffects[];
extern const std::size_t kEffectCount;

}  // namespace latensify

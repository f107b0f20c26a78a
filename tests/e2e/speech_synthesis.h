// Trainings of configs/tts on the bundled clips.
#pragma once

#include "tests/e2e/recipe_test.h"

namespace fathom::e2e {

inline const std::string kSpeech = FATHOM_SOURCE_DIR "/tests/data/ljspeech_mini";

class SpeechSynthesis : public RecipeTest {
 protected:
  SpeechSynthesis() : RecipeTest(FATHOM_SOURCE_DIR "/configs/tts", kSpeech) {}
};

}  // namespace fathom::e2e

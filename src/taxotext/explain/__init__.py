"""Why a label was chosen: importance of words and passages, attention, and which labels lie near each other."""

// Owns the precompiled header that the torch plugins share.

"""Device lines: one sans-IO machine a link, codecs driven by the profile, and the live workers."""

"""Step functions: one module a subject, each function a thin call into aurora."""

"""Redis: one Lua script per decision."""

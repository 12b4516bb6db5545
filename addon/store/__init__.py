"""Records -> rows. The one place that opens an archive for writing: schema, rules, views."""

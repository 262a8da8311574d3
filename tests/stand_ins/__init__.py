"""The SQL of warehouses that no test can reach, in engines much like them."""

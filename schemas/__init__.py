"""The Avro contract: committed schemas, their fixed ids, upcasters."""

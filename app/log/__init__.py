"""The log: topics, the Avro codec with its lock of ids, one producer, one reader, dead letters.

The only place of Kafka clients and fastavro, beside the transactional producer of app.streams. It decides nothing and
holds no state; what records mean stands in app.domain.
"""

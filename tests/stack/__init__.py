"""Real Kafka and Postgres for tests. Does not know any topic, table or schema of Argosy.

The fixtures stand in tests/conftest.py; a test names what it needs:

- `kafka: str`          bootstrap address of a broker shared by the whole session (started at the first use, about 3 s).
                        It has no topics at the start of a session; apply infra/kafka/topics.yaml, and expect that
                        other test modules did so before and left records. A test that counts records from offset 0, or
                        kills brokers, takes a broker of its own:
- `fresh_kafka`         a `KafkaBroker` of this test alone, started and empty: `.bootstrap`, `.stop()`, `.start()`,
                        `.kill()`, `.restart()`, `.pause()`, `.resume()`; ports and data stay the same throughout.
- `kafka_factory`       module-scoped function `() -> KafkaBroker` for modules whose tests share one empty broker:
                        `broker = kafka_factory()`; it is stopped when the module ends.
- `postgres: str`       URL (`postgresql://user:password@host:port/database`) of a server shared by the session.
- `database: str`       URL of a new, empty database of this test alone on that server, dropped afterwards.
- `database_factory`    module-scoped function `() -> str` for one database shared by a module.
- `fresh_postgres`      a `PostgresServer` of this test alone, with the same verbs as `fresh_kafka` and `.url`.

`ARGOSY_TEST_BOOTSTRAP` and `ARGOSY_TEST_DATABASE_URL` replace the shared broker and server, not the fresh ones.
All of them are synchronous, listen on loopback only, and die with the test process.
Mark such tests `pytestmark = pytest.mark.stack`.
"""

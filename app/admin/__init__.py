"""`argosy-admin`: runs components, keeps topics and tables in order, and runs the whole stack on one machine.

main.py finds a command's file by its name; components.py says where each component begins; supervisor.py, plan.py,
state.py and stack.py are the stack on one machine; kafka_node.py and postgres_node.py are its servers, which tests use
too. Does not speak to Kafka or Postgres itself (app.log and app.db do) and decides nothing about jobs.
"""

# One image for all components: argosy-admin run <component>. The steps are the Makefile's own.
FROM node:22-bookworm-slim AS ui
WORKDIR /opt/argosy/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui ./
COPY app/api/schema.graphql ../app/api/schema.graphql
RUN npm run codegen && npm run build

FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/argosy
COPY requirements.lock setup.cfg pyproject.toml Makefile README.md LICENSE ./
COPY app ./app
COPY agents ./agents
COPY tables ./tables
RUN make venv kernels

FROM python:3.11-slim-bookworm
WORKDIR /opt/argosy
COPY --from=build /opt/argosy /opt/argosy
COPY --from=ui /opt/argosy/ui/dist ./ui/dist
COPY schemas ./schemas
COPY infra/kafka ./infra/kafka
ENV PATH=/opt/argosy/.venv/bin:$PATH PYTHONUNBUFFERED=1
# Any unprivileged uid; the directories of the settings (…data_dir) are volumes.
USER 65532:65532
ENTRYPOINT ["argosy-admin"]
CMD ["--help"]

"""`python -m app.api.graphql.write_schema`: writes the SDL to app/api/schema.graphql after a change of the schema."""

from app.api.graphql.schema import SDL_FILE, sdl

if __name__ == "__main__":
    SDL_FILE.write_text(sdl())

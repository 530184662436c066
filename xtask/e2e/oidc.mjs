// A real authorization server, `oidc-provider` from npm: `oidc.mjs`. It takes any free port and says which: `oidc ready URL`. One client, a
// robot with a secret, gets access tokens for whatever resource it names. `POST /rotate` gives the server keys that nobody has seen.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(join(process.env.MODULES, "oidc-provider/lib/index.js")));

const SCOPES = "tools:read tools:call";

function key() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), alg: "ES256", use: "sig" };
}

function provider(issuer) {
  const resources = {
    enabled: true,
    defaultResource: () => undefined,
    getResourceServerInfo: (_context, resource) => ({
      scope: SCOPES,
      audience: resource,
      accessTokenFormat: "jwt",
      accessTokenTTL: 120,
      jwt: { sign: { alg: "ES256" } },
    }),
  };
  return new Provider(issuer, {
    clients: [{
      client_id: "robot",
      client_secret: "the-secret-of-the-robot",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      scope: SCOPES,
      id_token_signed_response_alg: "ES256",
    }],
    scopes: SCOPES.split(" "),
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false }, resourceIndicators: resources },
    jwks: { keys: [key()] },
  });
}

const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
let answer = provider(issuer).callback();
server.on("request", (request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    answer = provider(issuer).callback();
    response.writeHead(204).end();
    return;
  }
  answer(request, response);
});
console.log(`oidc ready ${issuer}`);

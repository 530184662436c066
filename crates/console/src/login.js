"use strict";
// The token stands behind the #, which browsers keep to themselves. It is used when the button is pressed, not when the page is opened.
const form = document.getElementById("form");
const field = document.getElementById("token");
const button = document.getElementById("button");
const said = document.getElementById("said");

function take() {
  const token = location.hash.slice(1);
  if (token) {
    field.value = token;
    form.hidden = false;
    said.textContent = "";
  }
  history.replaceState(null, "", location.pathname);
}

async function signIn() {
  // What people have at hand may be the whole link.
  const answer = await fetch("/api/v1/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: field.value.split("#").pop().trim() }),
  });
  let told;
  try {
    told = await answer.json();
  } catch {
    return `That was refused (${answer.status}) before anybody looked at the token. Is this address in listen.hosts and listen.origins?`;
  }
  // Used up, or never good. After any other answer it may still be.
  if (answer.ok || answer.status === 401) {
    field.value = "";
  }
  if (!answer.ok) {
    return told.detail;
  }
  form.hidden = true;
  return `You are signed in as ${told.name} (${told.role}). If you came from a call that waits, go back to its address.`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  said.textContent = "";
  try {
    said.textContent = await signIn();
  } catch {
    said.textContent = "The gateway does not answer. The token was not used, as far as is known here: try again.";
  }
  button.disabled = false;
});
// A link that is put into the address of this very page loads nothing anew.
addEventListener("hashchange", take);
take();

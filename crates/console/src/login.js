"use strict";
// The token stands behind the #, which browsers keep to themselves. It is used when the button is pressed, not when the page is opened.
const field = document.getElementById("token");
const said = document.getElementById("said");
field.value = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/v1/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: field.value }),
  });
  const told = await answer.json();
  field.value = "";
  said.textContent = answer.ok ? `You are signed in as ${told.name} (${told.role}).` : told.detail;
});

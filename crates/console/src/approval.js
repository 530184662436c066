"use strict";
// The key stands behind the #, which browsers keep to themselves. It is sent to show the call, which uses up nothing: buttons decide.
function show() {
  const key = location.hash.slice(1);
  if (key) {
    history.replaceState(null, "", location.pathname);
    const form = document.getElementById("look");
    form.elements.key.value = key;
    form.submit();
  }
}
// A link that is put into the address of this very page loads nothing anew.
addEventListener("hashchange", show);
show();

// Replaces the changing part of the overview as the gateway measures. Without scripts the page reloads itself instead.
(function () {
  "use strict";
  var live = document.getElementById("live");
  var told = document.getElementById("live-state");
  if (!live || !window.EventSource) { return; }
  var source = new EventSource("/live");
  function say(text) { if (told && told.textContent !== text) { told.textContent = text; } }
  source.addEventListener("overview", function (event) {
    // What somebody is reading with the keyboard stays where it is.
    if (live.contains(document.activeElement)) { return; }
    live.innerHTML = event.data;
    say("Live");
  });
  source.addEventListener("away", function () { say("The gateway does not answer"); });
  source.addEventListener("end", function () { source.close(); window.location.assign("/login"); });
  source.onerror = function () { say("Not connected"); };
  window.addEventListener("pagehide", function () { source.close(); });
}());

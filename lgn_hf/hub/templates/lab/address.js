/* The address of the page holds models, image and angle, so that it can be sent to others. */

const WAIT = 300; // milliseconds: browsers refuse to change the address too often

let addressTimer, written = "";

/* Put fields into the address, once they have settled. */
export function writeAddress(fields) {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    written = `#${new URLSearchParams(fields)}`;
    history.replaceState(null, "", written);
  }, WAIT);
}

/* Call when the visitor, not the page, has changed the address. */
export function onOtherAddress(call) {
  addEventListener("hashchange", () => { if (location.hash !== written) call(); });
}

/* What the address asks for; `missing` is the name of a model that is not there. */
export function readAddress(models) {
  const fields = new URLSearchParams(location.hash.slice(1)), degrees = Number(fields.get("turn"));
  written = location.hash;
  const first = named(models, fields.get("model"));
  return {
    first,
    second: named(models, fields.get("beside")),
    isAlone: fields.get("beside") === "none",
    missing: first ? null : fields.get("model"),
    image: fields.get("image") ?? "0",
    isMirrored: fields.get("mirror") === "1",
    degrees: Number.isInteger(degrees) && degrees >= 0 && degrees < 360 ? degrees : 0,
  };
}

/* The model of a name, or of the last part of it: a folder has the name of its repository without the user. */
function named(models, name) {
  const last = (text) => text.split("/").at(-1);
  return name === null ? undefined : models.find((model) => model.name === name) ?? models.find((model) => last(model.name) === last(name));
}

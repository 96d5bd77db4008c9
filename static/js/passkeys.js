// Forms that carry a passkey: `data-passkey` is "login" (anyone's), "get" (of the person who is asked) or "create".
// They are hidden until a script runs in a browser that can; options come with the page as JSON, or from the form's
// address. What the browser answers goes into the field `credential`, and the form is sent as any other.
const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const credential = ({ id, ...rest }) => ({ ...rest, id: bytes(id) });
const able = window.isSecureContext && "credentials" in navigator && "PublicKeyCredential" in window;

const forms = [...document.querySelectorAll("form[data-passkey]")];
for (const form of forms) form.hidden = !able;
for (const offer of document.querySelectorAll("[data-passkey-offer]")) offer.hidden &&= !able;
for (const note of document.querySelectorAll("[data-passkey-missing]")) note.hidden = able;

async function options(form) {
  const inPage = form.querySelector("script[type='application/json']");
  if (inPage) return JSON.parse(inPage.textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}. Try again in a minute.`);
  return answer.json();
}

async function ask(form) {
  const { creation_options: making, request_options: getting } = await options(form);
  if (making) {
    const { challenge, user, excludeCredentials = [], ...rest } = making.publicKey;
    return navigator.credentials.create({ publicKey: {
      ...rest, challenge: bytes(challenge), user: credential(user), excludeCredentials: excludeCredentials.map(credential),
      // One that the device keeps can sign in by itself; a security key that can't is a second factor all the same.
      authenticatorSelection: { ...rest.authenticatorSelection, residentKey: "preferred", requireResidentKey: false },
    } });
  }
  const { challenge, allowCredentials = [], ...rest } = getting.publicKey;
  return navigator.credentials.get({ publicKey: { ...rest, challenge: bytes(challenge), allowCredentials: allowCredentials.map(credential) } });
}

function plain(made) {
  const response = { clientDataJSON: text(made.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"])
    if (made.response[part]) response[part] = text(made.response[part]);
  if (made.response.getTransports) response.transports = made.response.getTransports();
  return {
    type: made.type, id: made.id, rawId: text(made.rawId), response,
    authenticatorAttachment: made.authenticatorAttachment, clientExtensionResults: made.getClientExtensionResults(),
  };
}

const WHY = {
  NotAllowedError: "That was cancelled, or took too long. Nothing has changed.",
  InvalidStateError: "This device has a passkey of your account already.",
};

document.addEventListener("submit", async event => {
  const form = event.target.closest("form[data-passkey]");
  if (!form || form.elements.credential.value) return;
  event.preventDefault();
  const button = form.querySelector("button"), said = form.querySelector(".error[hidden], .error[data-said]");
  button.disabled = true;
  if (said) said.hidden = true;
  try {
    form.elements.credential.value = JSON.stringify(plain(await ask(form)));
    form.submit();
  } catch (error) {
    button.disabled = false;
    said.textContent = WHY[error.name] ?? error.message;
    said.dataset.said = "";
    said.hidden = false;
  }
});

// What a browser loses on its way through a sign-in. Where anything here fails, the page stays and says what to do.
(() => {
  const keep = document.getElementById('keep');
  const { step, id, to } = keep.dataset;
  const hash = location.hash;
  try {
    if (step === 'fragment') {
      const login = new URL(to, location.href);
      // The address of the sign-in is seen by a server: nothing that could be a token goes into it.
      if (hash.length > 1 && hash.length <= 1024 && !/(^#|[&?])(access_token|id_token|refresh_token|code)=/.test(hash)) {
        login.searchParams.set('return_to', login.searchParams.get('return_to') + hash);
      }
      location.replace(login);
    } else if (step === 'land') {
      location.replace(to + hash);
    } else if (step === 'put') {
      for (const name of Object.keys(sessionStorage)) {
        if (name.startsWith('keycard-form-')) sessionStorage.removeItem(name);
      }
      sessionStorage.setItem(`keycard-form-${id}`, keep.elements.form.value);
      location.replace(to);
    } else if (step === 'take') {
      const sealed = sessionStorage.getItem(`keycard-form-${id}`);
      sessionStorage.removeItem(`keycard-form-${id}`);
      keep.elements.form.value = sealed ?? '';
      keep.submit();
    }
  } catch {
    // No storage, or none left.
  }
})();

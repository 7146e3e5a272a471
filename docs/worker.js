// A page that is opened from the disk may start no worker, and search runs in one. Here it runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = `<script>
        postMessage = message => parent.dispatchEvent(new CustomEvent("worker", { detail: message }));
        importScripts = () => {};
      </script><script src="${new URL(url, location)}"></script>`;
      this.frame.onload = () => { for (const message of this.waiting.splice(0)) this.deliver(message); };
      addEventListener("worker", event => this.dispatchEvent(new MessageEvent("message", { data: event.detail })));
      document.body.append(this.frame);
    }
    deliver(message) {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: message }));
    }
    postMessage(message) {
      if (this.frame.contentDocument?.readyState === "complete" && this.frame.contentWindow.importScripts)
        this.deliver(message);
      else this.waiting.push(message);
    }
    terminate() { this.frame.remove(); }
  };
}

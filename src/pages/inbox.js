// The inbox: the messages that went to no phone, as a phone would show them.
import { spoken } from "./texts.js";

const language = spoken(localStorage.getItem("sms-verify") ?? navigator.language);
const texts = {
  en: {
    inbox: "Inbox",
    none: "No message yet.",
    back: "Verify a number",
    copy: "Copy code",
    copied: "Copied",
  },
  "zh-CN": {
    inbox: "收件箱",
    none: "暂无短信",
    back: "验证手机号",
    copy: "复制验证码",
    copied: "已复制",
  },
  "zh-Hant": {
    inbox: "收件匣",
    none: "尚無簡訊",
    back: "驗證手機號碼",
    copy: "複製驗證碼",
    copied: "已複製",
  },
}[language];
document.documentElement.lang = language;
document.title = texts.inbox;
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = texts[element.dataset.text];
}

const list = document.getElementById("messages");
const element = (tag, textContent, className = "") =>
  Object.assign(document.createElement(tag), { textContent, className });
const item = message => {
  const entry = document.createElement("li"), copy = element("button", texts.copy, "quiet");
  const at = new Date(message.at).toLocaleTimeString();
  const head = element("small", `${message.to} · ${at}`);
  entry.append(head, element("p", message.text, "bubble"), copy);
  copy.onclick = async () => {
    await navigator.clipboard.writeText(message.code);
    copy.textContent = texts.copied;
    setTimeout(() => { copy.textContent = texts.copy; }, 1500);
  };
  return entry;
};
// Only what is new is added, so that a screen reader reads that alone, and a button in focus stays.
let newest = [];
const refresh = async () => {
  try {
    const messages = await (await fetch("inbox.json")).json();
    const known = new Set(newest.map(message => message.at + message.to));
    list.prepend(...messages.filter(message => !known.has(message.at + message.to)).map(item));
    while (list.children.length > messages.length) list.lastChild.remove();
    newest = messages;
    document.getElementById("none").hidden = messages.length > 0;
  } catch { /* the server is restarting: the next round shows more */ }
  setTimeout(refresh, 1000);
};
refresh();

// An order's five durable steps as a Restate virtual object; listens on the port that it is given.
import "./polyfill.mjs";
const { handlers, object, serve } = await import("@restatedev/restate-sdk");

const STEPS = [
  ["create", "PENDING"],
  ["payment", "PAID"],
  ["confirmation", "PREPARING"],
  ["ready", "OUT_FOR_DELIVERY"],
  ["delivery", "DELIVERED"],
];

const order = object({
  name: "order",
  handlers: {
    // Each step's result is in the log before the next begins, and the order's state can be read by others meanwhile.
    place: async (ctx, { products }) => {
      let version = 0;
      let status;
      for (const [name, next] of STEPS) {
        status = await ctx.run(name, () => next);
        version += 1;
        ctx.set("order", { status, version, products });
      }
      return { status, version };
    },
    look: handlers.object.shared((ctx) => ctx.get("order")),
  },
});

await serve({ services: [order], port: Number(process.argv[2]) });

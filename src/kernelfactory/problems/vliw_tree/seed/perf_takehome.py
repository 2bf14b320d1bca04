"""Builds the program that walks the batch through the tree. A plain starting point: right, and easy to follow."""

from problem import HASH_STAGES, SCRATCH_SIZE, DebugInfo


class KernelBuilder:
    def __init__(self):
        self.instrs = []
        self.scratch_map = {}
        self.scratch_top = 0
        self.constants = {}

    def debug_info(self):
        return DebugInfo(scratch_map=self.scratch_map)

    def reserve(self, name, length=1):
        """Sets scratch words aside; returns the address of the first."""
        address = self.scratch_top
        self.scratch_map[address] = (name, length)
        self.scratch_top += length
        assert self.scratch_top <= SCRATCH_SIZE, "out of scratch"
        return address

    def constant(self, value):
        """The scratch address of a word that holds `value`; loaded when it is first asked for."""
        if value not in self.constants:
            self.constants[value] = self.reserve(f"constant {value}")
            self.instrs.append({"load": [("const", self.constants[value], value)]})
        return self.constants[value]

    def header_word(self, number, name):
        """Reads one of the words at the start of memory into scratch; returns its address there."""
        address = self.reserve(f"address of {name}")
        word = self.reserve(name)
        self.instrs.append({"load": [("const", address, number)]})
        self.instrs.append({"load": [("load", word, address)]})
        return word

    def build_kernel(self, forest_height, n_nodes, batch_size, rounds):
        names = ["rounds", "n_nodes", "batch_size", "height", "forest", "indices", "values"]
        header = {name: self.header_word(number, name) for number, name in enumerate(names)}
        n_nodes, forest, indices, values = (header[name] for name in ["n_nodes", "forest", "indices", "values"])
        zero = self.constant(0)
        one = self.constant(1)
        two = self.constant(2)
        self.instrs.append({"flow": [("pause",)]})

        address = self.reserve("address")
        index = self.reserve("index")
        value = self.reserve("value")
        node = self.reserve("node")
        left = self.reserve("left")
        right = self.reserve("right")
        step = self.reserve("step")

        # All constants are loaded before the body, which is appended at the end.
        body = []
        for _ in range(rounds):
            for i in range(batch_size):
                element = self.constant(i)

                # Where the element is, what it carries, and what the tree holds there.
                body.append({"alu": [("+", address, indices, element)]})
                body.append({"load": [("load", index, address)]})
                body.append({"alu": [("+", address, values, element)]})
                body.append({"load": [("load", value, address)]})
                body.append({"alu": [("+", address, forest, index)]})
                body.append({"load": [("load", node, address)]})

                # value = hash(value ^ node)
                body.append({"alu": [("^", value, value, node)]})
                for op1, number, op2, op3, shift in HASH_STAGES:
                    body.append({"alu": [(op1, left, value, self.constant(number))]})
                    body.append({"alu": [(op3, right, value, self.constant(shift))]})
                    body.append({"alu": [(op2, value, left, right)]})

                # index = 2 * index + (1 if value is even else 2)
                body.append({"alu": [("%", left, value, two)]})
                body.append({"alu": [("==", left, left, zero)]})
                body.append({"flow": [("select", step, left, one, two)]})
                body.append({"alu": [("*", index, index, two)]})
                body.append({"alu": [("+", index, index, step)]})

                # Below the leaves it starts again at the root.
                body.append({"alu": [("<", left, index, n_nodes)]})
                body.append({"flow": [("select", index, left, index, zero)]})

                # Back to memory.
                body.append({"alu": [("+", address, indices, element)]})
                body.append({"store": [("store", address, index)]})
                body.append({"alu": [("+", address, values, element)]})
                body.append({"store": [("store", address, value)]})
        self.instrs += body
        self.instrs.append({"flow": [("pause",)]})
